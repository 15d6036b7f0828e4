"""Sentences with mentions that they assert or not, in the form of assertions.py, worded as chat models word them.

Written for this project before a look at the rules that they measure. A random half, FIRST, was read afterward to find
what is missing; SECOND was scored without being read.
"""

import random

SENTENCES = """
Migraine medicine never leads to {a brain tumor|n}, although [rebound headache] is possible.
{Hair loss|n} is not a symptom of [iron overload], but [joint pain] is.
It's a common misconception that antiperspirants cause {breast cancer|n}.
The idea that cracking your knuckles gives you {arthritis|n} is a myth.
**Myth:** Sugar causes {hyperactivity|n}./**Fact:** No study shows this, but sugar does cause [tooth decay].
Despite what you may have read online, the MMR vaccine has never been shown to cause {autism|n}.
Studies have found no association between childhood vaccines and {asthma|n}.
Your ECG is reassuring and shows no signs of {a heart attack|n}; the pain most likely comes from [costochondritis].
[Osteoarthritis] is not curable, but the [pain] can be controlled.
[Fibromyalgia] doesn't show up on X-rays, and it doesn't lead to {joint damage|n}.
{Fever|n} usually doesn't accompany [a tension headache].
{Night sweats|n} and {weight loss|n} were both denied by the patient.
The biopsy came back benign, so {skin cancer|n} can be ruled out.
There's no reason to suspect {meningitis|n} at this point.
The doctor isn't worried about {a blood clot|n}.
[Celiac disease] can't be ruled out without a biopsy.
The cough is unlikely to be due to {tuberculosis|n}; [asthma] is far more likely.
You shouldn't ignore [blood in the urine].
[Lyme disease] doesn't always cause [a rash].
Not everyone with [COVID-19] has [a fever].
Nothing suggests that aspartame causes {cancer|n} at normal intakes.
It would be wrong to say that antidepressants cause {addiction|n}.
Regular tooth brushing helps prevent {cavities|n} and {gum disease|n}.
Getting vaccinated is the best protection against {hepatitis B|n}.
To avoid {dehydration|n}, sip small amounts of water.
Regular exercise prevents {heart attacks|n} in people with [diabetes].
Metformin does not usually cause:/- {weight gain|n}/- {hypoglycemia|n}//It may cause:/- [nausea]/- [diarrhea]
**Not symptoms of a cold:**/1. {High fever|n}/2. {Chest pain|n}
Seek emergency care if you have any of the following:/- {slurred speech|c}/- {facial drooping|c}//[A stroke] is urgent.
Do not take this medicine if you have:/* {kidney failure|c}/* {stomach ulcers|c}
Warning signs:/- [high fever]/- [stiff neck]/- [confusion]
The following were excluded:/- {anemia|n}/- {thyroid disease|n}
Common causes of [dizziness] are:/- [dehydration]/- [low blood pressure]
**When to call 911**/- {Trouble breathing|c}/- {Chest pain|c}
My dad died of {lung cancer|f} last year, and I have had [a cough] since.
Since your sister has {type 1 diabetes|f}, your own risk is somewhat higher.
A maternal history of {ovarian cancer|f} was noted; the patient herself has [endometriosis].
Her grandfather and two uncles had {colon polyps|f}.
He has no family history of {heart disease|n} but does have [high cholesterol].
[Huntington's disease] is passed from parent to child.
Her son has {asthma|f}, and she herself was treated for [pneumonia].
Come back right away if {vomiting|c} starts or {a rash|c} appears.
Unless you have {asthma|c}, propranolol is an option for [migraine].
If [high blood pressure] goes untreated, it can lead to [heart failure].
Stop taking it in the event that {jaundice|c} or {dark urine|c} develops.
Were {a seizure|c} to happen, turn her on her side.
Even without {fever|n}, [pneumonia] is possible in older adults.
[Bronchitis], not {pneumonia|n}, explains the [cough].
[Shingles] isn't the same disease as [chickenpox], although one virus causes both.
What looked like {melanoma|n} turned out to be [a seborrheic keratosis].
[Sleep apnea] that isn't treated raises the risk of [stroke].
You can't get {HIV|n} from a toilet seat.
[Lupus] isn't contagious, nor does it cause {infertility|n}.
She no longer has {anemia|n}.
Before the accident he had never experienced {back pain|n}; since then, [sciatica] has troubled him.
I wouldn't expect {hair loss|n} from this dose.
Do vaccines cause {infertility|n}? No, they don't.
Can stress cause [hives]? Yes, it can.
Although many people blame dairy for {acne|n}, it isn't the cause.
[Gastritis] is less likely to cause [weight loss] than [stomach cancer].
""".strip().splitlines()

# Written while the rules were made, half of them against false denials.
BUILT = """
Vaccination never leads to {autism|n}.
Statins do not lead to {diabetes|n} in most people.
Coffee does not cause {cancer|n}.
{Fever|n} is not a symptom of [osteoarthritis].
{Weight loss|n} is not a typical feature of [irritable bowel syndrome].
{Chest pain|n} isn't among the side effects of this drug; [headache] is.
It is a myth that wet hair causes {a cold|n}.
It's simply not true that eggs cause {heart disease|n}.
There is a widespread myth that MSG triggers {migraine|n}.
The claim that fluoride causes {bone cancer|n} has been debunked.
The idea that [diabetes] is rare is wrong.
The theory that smoking causes [lung cancer] is well supported.
Many people believe that stress causes {stomach ulcers|n}, but that is not true.
Many people believe that stress triggers [migraine], and studies agree.
Measles vaccine prevents {measles|n}.
Flossing prevents {gum disease|n}, and [gingivitis] can be reversed.
This medicine helps prevent {blood clots|n} after surgery.
Hand washing protects you from {diarrhea|n}.
To prevent {nausea|n}, {vomiting|n}, and {headache|n}, take it with food.
Avoiding triggers helps control [asthma].
To treat [hypertension] and avoid {stroke|n}, take your pills daily.
This drug does not cause:/- {drowsiness|n}/- {dry mouth|n}/- {constipation|n}
Unlikely effects:/- {rash|n}
Conditions it does NOT treat:/- [asthma]
The following are not side effects of the vaccine:/1. {Infertility|n}/2. {Autism|n}
Common symptoms include:/- [fever]/- [cough]/- no {rash|n}
Seek care if:/- you have {a fever|c}/- you develop {a rash|c}
Call your doctor for:/- {bleeding|c}/- {severe headache|c}
**When should you see a doctor?**/- {Fever|c}/- {Bloody stools|c}
**Symptoms**/- [Fever]/- [Chills]
**When to worry:** {blurred vision|c} or {confusion|c} needs care.
My brother has {schizophrenia|f}.
Her family history includes {breast cancer|f} and {ovarian cancer|f}.
There is a strong history of {diabetes|f} in his family.
If your mother had {preeclampsia|f}, your risk is higher.
Both parents have {hypertension|f}; he has [gout].
A first-degree relative with {colon cancer|f} raises the risk.
Her mother died of {ovarian cancer|f}, and she now has [bloating].
If you get {hives|c}, stop the drug.
Stop if {swelling|c} develops.
As soon as you notice {a rash|c}, stop taking it.
At the first sign of {anaphylaxis|c}, use the pen.
If it causes {dizziness|c}, sit down.
If [gout] is left untreated, [tophi] form.
If you have [diabetes], your body can't use [insulin] well.
Once {jaundice|c} appears, see a doctor.
Once diagnosed, [asthma] is treated with inhalers.
Is it true that vaccines cause {autism|n}? No.
Is there a cure for [asthma]? No, but it can be controlled.
Does smoking cause [lung cancer]? Yes.
Can [shingles] come back? No one can say.
No study has shown that mobile phones cause {brain tumors|n}.
No evidence suggests that {cancer|n} follows.
Nothing relieves [itching] like cool water.
No test showed what caused the [seizure].
She did not develop {pneumonia|n}.
The [rash] did not develop overnight.
[Chest pain] should not be ignored.
[Headache] doesn't always mean {a tumor|n}.
[Bleeding] that doesn't stop needs care.
Don't take [ibuprofen] with [warfarin].
Not treating [syphilis] leads to [blindness].
[Ibuprofen] does not help [nerve pain].
[Fatigue] isn't unusual.
She isn't sure whether [penicillin] caused the [rash].
[Hypertension] usually causes no {symptoms|n}.
Without insulin, [ketoacidosis] follows.
[Gastritis] without {bleeding|n} heals quickly.
Patients without {fever|n} may still have [an infection].
The tumor was benign; {metastasis|n} is not expected.
The pain is not caused by {arthritis|n} but by [gout].
It is not {cancer|n}; it is [a cyst].
[Asthma] and not {COPD|n} is the cause.
Unlike [ibuprofen], [acetaminophen] does not cause {ulcers|n}.
[Anemia] cannot be ruled out.
[Pneumonia] was ruled in, and {tuberculosis|n} ruled out.
The results ruled out {leukemia|n}, but showed [anemia].
{Lupus|n} has been safely ruled out.
You can have [chlamydia] without any {symptoms|n}.
{Nausea|n}: none. [Headache]: yes.
He has no known {allergies|n} and takes [lisinopril].
No {fever|n}, no {cough|n}, but [sore throat].
[Vomiting] may occur even when there is no {nausea|n}.
[Diarrhea] is more common than [constipation], not less.
Less common side effects are [rash] and [itching].
It rarely causes [liver damage].
[Acne] is not caused by poor hygiene.
[Eczema] does not spread from person to person.
[Depression] is nothing to be ashamed of.
[Migraine] is not just a [headache].
Do not ignore [chest pain], even if it goes away.
[Asthma] has no cure.
There is no doubt that smoking causes [emphysema].
Nothing is known about the cause of [fibromyalgia].
[Prediabetes] can be stopped before it becomes {type 2 diabetes|n}.
{Breast cancer|f} runs in her family, and she has [a cyst].
There is a history of {glaucoma|f} in his family.
Nothing on the X-ray pointed to {pneumonia|n}.
""".strip().splitlines()

# Written when the rules were first finished, and scored then; its errors were looked at afterward.
LATER = """
There's no truth to the rumor that the flu shot gives you {the flu|n}.
Contrary to what your neighbor says, tea doesn't trigger {gout|n}.
[Iron] tablets won't cause {weight gain|n}, though [constipation] is common.
No, metformin does not damage the kidneys or lead to {kidney failure|n}.
{A sore throat|n} by itself isn't a sign of [mononucleosis].
You mentioned [headaches]; these are not a symptom of {a brain tumor|n} in most cases.
It's a persistent myth that chocolate causes {acne|n}.
The vaccine offers strong protection against {shingles|n} and {postherpetic neuralgia|n}.
Good foot care can help you avoid {foot ulcers|n}.
Drinking water helps to prevent {kidney stones|n}, which are painful.
Ibuprofen doesn't typically cause:/* {drowsiness|n}/* {dry mouth|n}
It is **not** associated with:/1. {hair loss|n}/2. {infertility|n}
Tell the nurse straight away if you notice:/- {itching|c}/- {wheezing|c}
Typical signs of [appendicitis]:/- [nausea]/- [fever]
My aunt and my cousin both had {thyroid cancer|f}.
There's {colon cancer|f} in his family history.
Her late husband had {dementia|f}; she suffers from [insomnia].
If your child develops {a stiff neck|c}, go to the hospital.
Call us if {the swelling|c} gets worse or {a fever|c} sets in.
Should you notice {hives|c}, stop the antibiotic.
In case of {an overdose|c}, call poison control.
[Anxiety] can feel like {a heart attack|n}, but it isn't one.
The scan was clear of {metastases|n}.
[Endometriosis] is often mistaken for {irritable bowel syndrome|n}.
[Type 2 diabetes] doesn't only affect people with [obesity].
[Kidney stones] aren't always painful.
There's no need to panic: [palpitations] are common.
Not getting enough [vitamin D] leads to [rickets].
[Celiac disease] isn't just [a stomach ache].
The swelling is not from {heart failure|n} but from [a vein problem].
""".strip().splitlines()

# Written when the errors of LATER were corrected, and scored then. One wrong label was corrected afterward.
LAST = """
Antibiotics never lead to {autism|n}, but they can cause [diarrhea].
{Vision loss|n} is not one of the usual symptoms of [migraine].
It's a myth that you can catch {herpes|n} from a swimming pool.
A daily aspirin may prevent {heart attacks|n} in people who have [angina].
Sunscreen protects you from {sunburn|n} and {skin cancer|n}.
The drug does not cause:/- {sedation|n}/- {addiction|n}
Her grandmother had {glaucoma|f}, and her own eye pressure is high.
He worries because {prostate cancer|f} runs in his family.
If you have {a latex allergy|c}, tell the nurse.
Unless {bleeding|c} occurs, no follow-up is needed.
Seek help right away if any of these happen:/1. {Fainting|c}/2. {Blue lips|c}
[Ulcers] aren't caused by spicy food; most are due to [H. pylori infection].
Tests came back negative for {strep throat|n}, so it is probably [a viral infection].
There's nothing to suggest {a fracture|n}.
[Psoriasis] can't be cured, but it can be controlled.
[Hepatitis C] often goes unnoticed because it causes no {pain|n} at first.
We found no {tumor|n}, only [a small cyst].
[Epilepsy] is not a mental illness.
This isn't {a stroke|n} but [a migraine with aura].
Patients should not assume that [fatigue] is harmless.
Vitamin C doesn't prevent [colds].
You don't have to have [obesity] to develop [type 2 diabetes].
Ask your pharmacist if you have ever had {a seizure|c}.
The swelling went down, and {infection|n} was excluded.
""".strip().splitlines()

_SHUFFLED = random.Random(17).sample(SENTENCES, len(SENTENCES))
FIRST, SECOND = _SHUFFLED[:30], _SHUFFLED[30:]
