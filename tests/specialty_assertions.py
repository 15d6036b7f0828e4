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

# Written when the rules were finished, and scored once.
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

_SHUFFLED = random.Random(17).sample(SENTENCES, len(SENTENCES))
FIRST, SECOND = _SHUFFLED[:30], _SHUFFLED[30:]
