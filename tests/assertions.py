"""Sentences with mentions that they assert or not, worded as in answers to patients; written for this project.

[square]: asserted. {curly|KIND}: not asserted, because it is n: denied or prevented, c: a mere condition, f: someone
else's in the family. A sentence may span lines ("/" is a line break). BUILT and MEASURED were written before the code,
and rules were made from both. FRESH was written when the rules were finished, and scored once.
"""

MEASURED = """
Statins never lead to {dementia|n}.
{Hair loss|n} is not a side effect of [amoxicillin].
It is a myth that sugar causes {hyperactivity|n} in children.
Washing your hands prevents {influenza|n}.
The HPV vaccine protects against {cervical cancer|n}.
If you develop {a fever|c}, call the clinic.
Call 911 if you have {chest pain|c} or {fainting|c}.
Her mother had {breast cancer|f} at 45.
He has a family history of {colon cancer|f} and now has [rectal bleeding].
Your father's {Parkinson's disease|f} does not change this.
{Meningitis|n} was ruled out by lumbar puncture.
Doctors ruled out {stroke|n} and found [a migraine].
Contrary to what many believe, cold weather does not cause {pneumonia|n}.
There is no link between vaccines and {autism|n}.
This medicine does not cause:/- {weight gain|n}/- {insomnia|n}//It may cause:/- [nausea]
Go to the emergency room if you notice:/* {confusion|c}/* {seizures|c}
You are unlikely to have {cancer|n}.
This isn't {appendicitis|n}; it is [gastroenteritis].
{Diarrhea|n} is rarely a problem, but [constipation] is.
[Shingles] can follow [chickenpox] years later.
Should {bleeding|c} occur, press on the wound.
In case of {an allergic reaction|c}, stop the drug.
Tell your doctor if you have ever had {liver disease|c}.
Do not use it if you have {asthma|c} or {glaucoma|c}.
[Aspirin] can cause [stomach ulcers] and [bleeding].
Rather than {a heart attack|n}, she had [a panic attack].
No one in the study developed {hepatitis|n}.
The rash is caused by [eczema], not by {psoriasis|n}.
[Diabetes] raises the risk of [stroke] and [blindness].
{Tuberculosis|n} has been excluded, and [sarcoidosis] was diagnosed.
Neither {depression|n} nor {anxiety|n} was present.
The belief that [lupus] is contagious is wrong.
People without {symptoms|n} may still carry [hepatitis C].
Fluoride helps prevent {tooth decay|n}.
Watch for signs of [infection], such as redness.
It is false that antibiotics cure {the common cold|n}.
My sister has {lupus|f}, and I have [joint pain].
{Fever|n}: none. [Cough]: present.
There have been no reports of {liver failure|n}.
[Warfarin] increases the risk of [bleeding].
""".strip().splitlines()

BUILT = """
The drug never causes {seizures|n}.
{Headache|n} is not a symptom of this disease.
{Baldness|n} is not among the symptoms; [fatigue] is.
It's a common misconception that [eczema] is contagious.
It is a myth that vaccines cause {autism|n}.
Vaccination prevents {measles|n}.
The drug was shown to prevent {stroke|n} and {heart attack|n}.
A low-salt diet protects against {hypertension|n}.
If you develop {fever|c} or {chills|c}, see a doctor.
See a doctor if you get {a rash|c}.
Ask your doctor before use if you have {kidney disease|c}.
When {pain|c} occurs, rest.
If [diabetes] is not treated, [kidney failure] may follow.
If left untreated, [syphilis] can damage the heart.
Even if you have no {symptoms|n}, [high blood pressure] can cause [a stroke].
There is a family history of {breast cancer|f}.
His father died of {a stroke|f}; he has [hypertension].
Her sister was diagnosed with {celiac disease|f}.
{Pneumonia|n} was ruled out.
The scan ruled out {a tumor|n}.
It does not cause:/- {cancer|n}/- {stroke|n}
Side effects that are NOT expected:/1. {Rash|n}/2. {Fever|n}
Call your doctor right away if you have any of these:/- {chest pain|c}/- {vomiting|c}/Common side effects:/- [headache]
Common side effects are:/- [nausea]/- [dizziness]
Seek help in case of {bleeding|c}.
Should you develop {jaundice|c}, stop taking it.
Contrary to popular belief, stress does not cause {ulcers|n}.
There is no evidence linking [asthma] to {lung cancer|n}.
[Nausea] is not uncommon.
[Asthma] is not rare.
[Gout] is not an infection but [arthritis].
[Influenza] is not the same as [the common cold].
[Fever] may or may not be present.
The test cannot rule out [cancer].
[Migraine] can be prevented with [propranolol].
There is no cure for [HIV], but treatment prevents {AIDS|n}.
Unlike [Crohn's disease], [ulcerative colitis] affects the colon alone.
People think that it causes {hair loss|n}, but that is untrue.
[Fever] if present should be treated.
Your child may have [a fever] if the ear is infected.
She was worried about {cancer|n}, but it is not.
[Sickle cell disease] runs in families.
[Anemia] is common when [iron] is low.
""".strip().splitlines()

# Written after the rules were finished, and scored once.
FRESH = """
Ginger does not interact with {warfarin|n} in small amounts, yet it eases [nausea].
Your results show no trace of {leukemia|n}.
A negative D-dimer makes {pulmonary embolism|n} very unlikely.
Most people with [hypothyroidism] never get {goiter|n}.
Taking folic acid lowers the chance of [spina bifida].
Sunscreen helps to prevent {melanoma|n} and {sunburn|n}.
Anyone who gets {hives|c} after a dose should stop the drug.
Stop the tablets at once if your skin turns yellow or you vomit blood: these point to [liver failure].
If he starts {wheezing|c} or has {trouble breathing|c}, use the inhaler.
In the event of {a seizure|c}, lay the person on the side.
My grandmother suffered from {dementia|f}, but my own problem is [insomnia].
He has two brothers with {hemophilia|f}.
[Heart failure] is a known complication of [hypertension].
Far from causing {diabetes|n}, the diet improved [obesity].
[Psoriasis] isn't contagious.
Nothing on the scan suggested {a stroke|n}.
The tremor was thought to be [Parkinson's disease] until tests showed [hyperthyroidism].
Conditions that were ruled out:/- {lupus|n}/- {gout|n}
Tell us before the operation if you have:/- {hemophilia|c}/- {asthma|c}
Risk factors:/- [obesity]/- [hypertension]
[Measles] can lead to [pneumonia] and [encephalitis].
The patient is not known to have {epilepsy|n}.
It used to be thought that stress causes {ulcers|n}; most are due to infection.
[Anxiety] without {depression|n} responds well to therapy.
""".strip().splitlines()
