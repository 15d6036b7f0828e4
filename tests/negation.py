"""Sentences that the negation detector is built on and measured on, written for this project.

{curly}: a mention that the sentence denies; [square]: one that it does not. MEASURED was written before the first
detector and not read while that was built; it was read before rules were added later. BUILT is what it was made from.
"""

BUILT = """
The patient has [fever] but no {cough}.
He denies {chest pain} and {shortness of breath}.
No {fever}, {chills} or {night sweats} were reported.
She presented with [rash] without {itching}.
{Pneumonia} was ruled out by chest X-ray.
{Fever} is absent, but [fatigue] is common.
There is no evidence of {metastasis}.
The biopsy was negative for {malignancy}.
Patients with [diabetes] who do not have {kidney disease} should be screened each year.
Not only [headache] but also [nausea] can occur.
There was no increase in [pain] after surgery.
No change in [blood pressure] was seen.
It is not known what causes [eczema].
[Asthma] that is not treated can lead to [respiratory failure].
[Migraine] is not the same as [tension headache].
The vaccine does not cause {autism}.
Unlike [influenza], the common cold rarely causes [fever].
The infant is free of {infection}.
[Aspirin] is given to people without {bleeding disorders} who have had [a heart attack].
The test cannot exclude [pulmonary embolism].
To rule out [appendicitis], an ultrasound was ordered.
She has never had {seizures}.
Neither {jaundice} nor {ascites} was found.
The lungs are clear, with no {wheezing}; [oedema] of both legs is noted.
If [hypertension] is not controlled, [stroke] may follow.
Do not take {ibuprofen} if you have [an ulcer].
You should avoid alcohol because it worsens [gout].
Absence of {fever} does not exclude [sepsis].
{Diarrhea} has resolved.
The rash is no longer itchy, but [swelling] remains.
There is no cure for [lupus].
There is no vaccine against [malaria] for travellers.
No treatment stops [ALS], though [riluzole] slows it.
[Anemia] is caused by lack of [iron].
No known allergy to {penicillin}.
He is not a smoker and has no history of {cancer}.
Exam is remarkable for [jaundice], no {hepatomegaly}.
[Depression] cannot be cured by willpower.
Mother denies that the child had {vomiting}.
The mass is unlikely to be {cancer}.
[Warfarin] was stopped because of [bleeding].
[Diabetes], if left without treatment, damages the eyes.
A 45-year-old man without {comorbidities} comes in with [abdominal pain].
{Tuberculosis} was not detected.
Cultures did not grow {Staphylococcus aureus}.
He declined [chemotherapy].
[Gram-negative sepsis] was treated with [gentamicin].
Non-steroidal drugs can cause [ulcers].
She failed to respond to [prednisone].
No significant difference in [mortality] was found between [aspirin] and placebo.
Without treatment, [syphilis] can spread to the brain.
Although [fever] is not seen in every case, [malaise] is common.
""".strip().splitlines()

MEASURED = """
A 30-year-old woman comes to the clinic because of [dysuria]; she has no {flank pain} or {hematuria}.
She denies {nausea}, {vomiting}, and {diarrhea}.
There is no {rebound tenderness}, but [guarding] is present in the right lower quadrant.
He has [type 2 diabetes] and [hypertension] and has never had {a stroke}.
Examination shows [bilateral wheezes] and no {peripheral edema}.
A CT scan of the head ruled out {subarachnoid hemorrhage}.
{Deep vein thrombosis} has been excluded by ultrasound.
Blood cultures were negative for {bacteremia}.
The patient reported [dizziness] but denied {syncope} and {palpitations}.
Cardiac examination reveals a murmur without {jugular venous distension}.
{Neck stiffness} was not present.
In most people [shingles] heals without {scarring}.
[Gestational diabetes] usually does not cause {symptoms}.
[Multiple sclerosis] is not contagious.
Antibiotics do not help [viral infections].
There is no cure for [cystic fibrosis], but treatment eases [cough] and [breathing problems].
Measles vaccine does not increase the risk of {inflammatory bowel disease}.
The drug had no effect on [depression].
If [glaucoma] is not treated, it can cause [blindness].
[Acetaminophen] relieves [pain] but, unlike [ibuprofen], does not reduce {inflammation}.
Do not give {aspirin} to children with [chickenpox].
Never stop [prednisone] suddenly, because this can cause [adrenal crisis].
No single test can diagnose [fibromyalgia].
Doctors do not know what causes [Parkinson's disease].
Not all people with [celiac disease] have [diarrhea].
Rats given saline did not develop {nephrotoxicity}.
No {seizures} were observed at lower doses of [lidocaine].
[Cisplatin] induced [renal failure] in rats, whereas carboplatin did not.
There were no signs of {hepatotoxicity} in the [rifampicin] group.
[Ketamine] failed to produce {psychosis} in these volunteers.
Patients free from {arrhythmia} at baseline were followed for five years.
The absence of {fever} makes [meningitis] less likely.
Neither {rash} nor {pruritus} occurred.
None of the patients had {hyperkalemia}.
His mother has [breast cancer]; his father is free of {disease}.
He has no complaints apart from [back pain].
There is nothing to suggest {malignancy}.
The lesion is not {melanoma} but [a seborrheic keratosis].
Her [asthma] has not been well controlled.
The patient is HIV negative and has no {lymphadenopathy}.
[Iron deficiency anemia] without {blood loss} is unusual in men.
[Fever] was present in all cases.
She was admitted with [confusion] and no {focal weakness}, and later developed [fever].
She has a history of [migraine] with no {aura}.
[Lactose intolerance] is not {an allergy}.
[Hypoglycemia] may occur with [insulin] and not with {metformin}.
The child has [otitis media] rather than {mastoiditis}.
He no longer has {chest pain} after [nitroglycerin].
No further {vomiting} occurred after [ondansetron].
Chest X-ray shows no {infiltrate}, {effusion}, or {pneumothorax}.
Her symptoms are not due to {hypothyroidism}.
Without [insulin], people with [type 1 diabetes] develop [ketoacidosis].
Smokers without {COPD} were used as controls for those with [COPD].
There is little evidence that [vitamin C] prevents [colds].
This is not to say that [headache] is harmless.
[Tamoxifen] is not recommended for women with a history of [blood clots].
The skin is warm, dry, and without {rash}, and there is [pallor].
Laboratory studies show [anemia] with no {thrombocytopenia}.
{Leukemia} is unlikely given the normal smear.
Pathology showed [adenocarcinoma]; margins were clear of {tumor}.
Patient does not smoke, drinks rarely, and has [gout].
Symptoms include [fatigue], [weight loss], and [loss of appetite].
No one knows why [narcolepsy] begins.
{Appendicitis} seems improbable, and [gastroenteritis] is favoured.
There was no family history of {colon cancer}.
""".strip().splitlines()
