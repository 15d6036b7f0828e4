"""Words that mean the same ("renal failure|kidney failure"), and words that only look alike; written for this project.

SAME_DISEASE and SAME_DRUG were written to look for gaps in the word lists, which were then filled.
"""

SAME_DISEASE = """
myocardial infarction|a heart attack
pruritus|itchy skin
dyspnoea|shortness of breath
haematuria|blood in your urine
hyperkalaemia|high potassium
oesophageal cancer|cancer of the esophagus
renal cell carcinoma|kidney cancer
hepatic failure|liver failure
pulmonary oedema|fluid in the lungs
cerebral haemorrhage|bleeding in the brain
epistaxis|nosebleeds
alopecia|hair loss
syncope|fainting
cephalgia|headaches
xerostomia|a dry mouth
halitosis|bad breath
emesis|throwing up
pyrexia|a fever of 39
cholelithiasis|gallstones
nephrolithiasis|kidney stones
herpes zoster|shingles
varicella|chicken pox
pertussis|whooping cough
rubella|German measles
tinea corporis|ringworm
tinea cruris|jock itch
verrucae|warts
metastases|metastasis
diverticula|diverticulum
thromboses|thrombosis
emboli|an embolism
carcinomata|carcinomas
leukaemia|leukemia
goitre|a goiter
paraesthesia|pins and needles
ischaemic stroke|ischemic stroke
hyperlipidaemia|high cholesterol
phaeochromocytoma|pheochromocytoma
coeliac disease|celiac disease
hypoglycaemia|low blood sugar
otitis media|middle ear infections
cystitis|a bladder infection
pyelonephritis|infection of the kidneys
gastritis|inflammation of the stomach lining
hepatitis|an inflamed liver
arthralgia|joint pains
myalgias|muscle aches
somnolence|sleepiness
insomnia|trouble sleeping
polyuria|passing a lot of urine
dysphagia|trouble swallowing
odynophagia|painful swallowing
dysuria|burning when you pee
tachycardia|a racing heart
bradycardia|a slow heartbeat
anosmia|loss of smell
diplopia|double vision
photophobia|sensitivity to light
menorrhagia|heavy periods
amenorrhea|missed periods
dysmenorrhea|menstrual cramps
urticaria|hives
lymphadenopathy|swollen lymph nodes
thrombocytopenia|low platelets
neutropenia|a low neutrophil count
ecchymoses|bruises
oedema|swollen ankles
ascites|fluid in the abdomen
constipation|hard stools
melaena|black tarry stools
haematemesis|vomiting blood
haemoptysis|coughing up blood
rhinorrhoea|a runny nose
pharyngitis|a throat infection
conjunctivitis|pink eye
myopia|nearsightedness
presbyopia|age-related farsightedness
cataracts|clouding of the lens
bruxism|grinding of the teeth
dental caries|cavities
gingivitis|inflamed gums
enuresis|bedwetting
COPD|chronic obstructive pulmonary disease
GERD|acid reflux
CHF|heart failure
UTI|a urinary tract infection
DVT|a blood clot in the leg
PTSD|post-traumatic stress disorder
CKD|chronic kidney disease
T2DM|type 2 diabetes
AF|atrial fibrillation
IBS|irritable bowel syndrome
OSA|obstructive sleep apnea
SLE|lupus
BPH|an enlarged prostate
TIA|a mini-stroke
PE|a blood clot in the lung
PCOS|polycystic ovary syndrome
hypertension|HTN
rheumatoid arthritis|RA
vertigo|a spinning sensation
tinnitus|ringing in the ears
tremor|shaky hands
fatigue|feeling tired
anorexia|loss of appetite
erythema|redness of the skin
jaundice|yellowing of the eyes
cyanosis|bluish lips
pallor|pale skin
seizures|convulsions
hemiparesis|weakness on one side of the body
aphasia|trouble speaking
dysarthria|slurred speech
ataxia|loss of coordination
osteoporosis|brittle bones
scoliosis|a curved spine
hallux valgus|bunions
plantar fasciitis|heel spur syndrome
lateral epicondylitis|tennis elbow
adhesive capsulitis|a frozen shoulder
decubitus ulcers|bedsores
pediculosis capitis|head lice
candidiasis|a yeast infection
infectious mononucleosis|mono
poliomyelitis|polio
tetanus|lockjaw
rabies|hydrophobia
septicaemia|blood poisoning
hyperhidrosis|excessive sweating
hordeolum|a stye
strabismus|crossed eyes
amblyopia|a lazy eye
singultus|hiccups
eructation|burping
pyrosis|heartburn
dyspepsia|indigestion
miscarriage|spontaneous abortion
pre-eclampsia|preeclampsia
uterine leiomyoma|fibroids
erectile dysfunction|impotence
benign prostatic hyperplasia|prostate enlargement
Alzheimer's disease|Alzheimer disease
Parkinson's|Parkinson disease
Crohn's|Crohn disease
Hodgkin's lymphoma|Hodgkin lymphoma
motor neurone disease|ALS
trisomy 21|Down syndrome
hypothyroidism|an underactive thyroid
hyperthyroidism|an overactive thyroid gland
peripheral neuropathy|nerve damage in the feet
cardiac arrest|sudden cardiac arrest
atherosclerosis|hardening of the arteries
orthostatic hypotension|a drop in blood pressure on standing
pneumothorax|a collapsed lung
pleural effusion|fluid around the lungs
sciatica|a pinched sciatic nerve
concussion|a mild head injury
meningitis|inflammation of the brain lining
hyperthyroidism|an overactive thyroid
sialorrhea|drooling
gynecomastia|enlarged breasts in men
hirsutism|excessive hair growth
onychomycosis|a fungal nail infection
ptosis|a drooping eyelid
epiphora|watery eyes
mydriasis|dilated pupils
miosis|pinpoint pupils
night blindness|nyctalopia
dyspareunia|pain during sex
galactorrhea|milky nipple discharge
proteinuria|protein in the urine
glycosuria|sugar in the urine
nocturia|waking at night to urinate
oliguria|reduced urine output
urinary incontinence|leaking urine
fecal incontinence|loss of bowel control
steatorrhea|greasy stools
hematochezia|bright red blood in the stool
abdominal distension|a bloated belly
hepatomegaly|an enlarged liver
splenomegaly|a swollen spleen
cardiomegaly|an enlarged heart
pulmonary hypertension|high blood pressure in the lungs
aortic regurgitation|a leaky aortic valve
ventricular fibrillation|VF
hyponatraemia|low sodium
hypocalcaemia|low calcium levels
hypercalcaemia|too much calcium in the blood
hyperuricaemia|high uric acid levels
anaemia|a low red blood cell count
leucopenia|a low white blood cell count
polycythemia|too many red blood cells
iron deficiency anaemia|IDA
myalgia|sore muscles
back pain|a backache
neck stiffness|a stiff neck
sore throat|throat pain
nasal congestion|a stuffy nose
common cold|a cold
influenza|the flu
gastroenteritis|stomach flu
gastro-oesophageal reflux disease|GERD
peptic ulcer disease|stomach ulcers
abdominal pain|a stomachache
abdominal pain|tummy ache
abdominal pain|belly pain
diarrhea|loose stools
nausea|feeling sick to your stomach
dizziness|lightheadedness
loss of consciousness|passing out
palpitations|a pounding heart
chest pain|chest tightness
shortness of breath|trouble breathing
diaphoresis|sweating
rigors|shaking chills
weight loss|losing weight
depression|major depressive disorder
anxiety|nervousness
generalized anxiety disorder|GAD
bipolar disorder|manic depression
ADHD|attention deficit hyperactivity disorder
OCD|obsessive-compulsive disorder
psychosis|a loss of touch with reality
alcohol use disorder|alcoholism
memory loss|forgetfulness
urinary retention|inability to urinate
kidney failure|renal failure
acute kidney injury|AKI
end-stage renal disease|ESRD
hepatocellular carcinoma|HCC
colorectal cancer|bowel cancer
melanoma|malignant melanoma
basal cell carcinoma|BCC
non-Hodgkin lymphoma|NHL
acute myeloid leukaemia|AML
multiple myeloma|plasma cell myeloma
squamous cell carcinoma|squamous cell cancer
metastatic cancer|metastases
tuberculosis|TB
HIV infection|HIV
gonorrhoea|gonorrhea
genital warts|condylomata acuminata
chlamydia|a chlamydial infection
sexually transmitted infections|STIs
tinea pedis|athlete's foot
tinea capitis|ringworm of the scalp
eczema|atopic dermatitis
rosacea|acne rosacea
contact dermatitis|contact eczema
angioedema|swelling of the lips and tongue
anaphylaxis|a severe allergic reaction
lupus|SLE
ankylosing spondylitis|Bechterew disease
osteoarthritis|wear-and-tear arthritis
gout|gouty arthritis
carpal tunnel syndrome|CTS
herniated disc|a slipped disc
lumbago|low back pain
hip fracture|a broken hip
fractures|broken bones
macular degeneration|AMD
glaucoma|glaucoma
otalgia|earache
otitis externa|swimmer's ear
hearing impairment|hearing loss
febrile seizures|febrile convulsions
epilepsy|a seizure disorder
Bell's palsy|facial palsy
sudden infant death syndrome|cot death
cerebrovascular accident|a stroke
intracerebral hemorrhage|bleeding in the brain
migraine|migraines
hypotension|low BP
hypertension|raised blood pressure
cystic fibrosis|CF
sickle cell disease|sickle cell anemia
haemophilia|hemophilia
haemorrhoids|piles
Clostridioides difficile infection|C. diff
Helicobacter pylori infection|H. pylori
legionellosis|Legionnaires' disease
dengue|dengue fever
leprosy|Hansen's disease
varicose veins|varicose vein
intermittent claudication|claudication
premature birth|preterm delivery
diabetic retinopathy|diabetic eye disease
hot flashes|hot flushes
pelvic inflammatory disease|PID
""".strip().splitlines()

SAME_DRUG = """
acetaminophen|paracetamol
salbutamol|albuterol
epinephrine|adrenaline
furosemide|frusemide
rifampicin|rifampin
ciclosporin|cyclosporine
pethidine|meperidine
lignocaine|lidocaine
glyceryl trinitrate|nitroglycerin
aspirin|ASA
atorvastatin|Lipitor
sertraline|Zoloft
metformin|Glucophage
apixaban|Eliquis
levothyroxine|Synthroid
omeprazole|Prilosec
escitalopram|Lexapro
gabapentin|Neurontin
amlodipine|Norvasc
lisinopril|Zestril
losartan|Cozaar
hydrochlorothiazide|HCTZ
metoprolol succinate|Toprol-XL
montelukast|Singulair
pantoprazole|Protonix
rosuvastatin|Crestor
bupropion|Wellbutrin
trazodone|Desyrel
duloxetine|Cymbalta
venlafaxine|Effexor XR
clonazepam|Klonopin
alprazolam|Xanax
zolpidem|Ambien
quetiapine|Seroquel
aripiprazole|Abilify
lamotrigine|Lamictal
levetiracetam|Keppra
topiramate|Topamax
methylphenidate|Ritalin
lisdexamfetamine|Vyvanse
semaglutide|Ozempic
empagliflozin|Jardiance
sitagliptin|Januvia
insulin glargine|Lantus
insulin lispro|Humalog
warfarin sodium|Coumadin
clopidogrel|Plavix
rivaroxaban|Xarelto
tamsulosin|Flomax
finasteride|Proscar
sildenafil|Viagra
tadalafil|Cialis
fluticasone-salmeterol|Advair
budesonide/formoterol|Symbicort
amoxicillin/clavulanate|Augmentin
azithromycin|a Z-Pak
trimethoprim-sulfamethoxazole|Bactrim
cephalexin|Keflex
ciprofloxacin|Cipro
valacyclovir|Valtrex
oseltamivir|Tamiflu
fluconazole|Diflucan
hydroxychloroquine|Plaquenil
adalimumab|Humira
etanercept|Enbrel
alendronate|Fosamax
allopurinol|Zyloprim
cyclobenzaprine|Flexeril
oxycodone with acetaminophen|Percocet
hydrocodone and acetaminophen|Vicodin
carbidopa/levodopa|Sinemet
donepezil|Aricept
sumatriptan|Imitrex
diphenhydramine|Benadryl
loratadine|Claritin
cetirizine|Zyrtec
fluticasone|Flonase
ranitidine|Zantac
famotidine|Pepcid
ibuprofen|Advil
naproxen|Aleve
bismuth subsalicylate|Pepto-Bismol
loperamide|Imodium
polyethylene glycol|MiraLAX
isotretinoin|Accutane
sacubitril/valsartan|Entresto
ticagrelor|Brilinta
spironolactone|Aldactone
prednisolone|Orapred
tiotropium|Spiriva
pregabalin|Lyrica
celecoxib|Celebrex
meloxicam|Mobic
diclofenac|Voltaren
ondansetron|Zofran
naloxone|Narcan
buprenorphine/naloxone|Suboxone
varenicline|Chantix
isoniazid|INH
methotrexate|MTX
fluorouracil|5-FU
vitamin B12|cobalamin
vitamin C|ascorbic acid
folic acid|vitamin B9
thiamine|vitamin B1
cholecalciferol|vitamin D3
phytonadione|vitamin K
statins|HMG-CoA reductase inhibitors
NSAIDs|nonsteroidal anti-inflammatory drugs
SSRIs|selective serotonin reuptake inhibitors
ACE inhibitors|angiotensin-converting enzyme inhibitors
proton pump inhibitors|PPIs
beta-blockers|β-blockers
corticosteroids|steroids
anticoagulants|blood thinners
diuretics|water pills
amphetamine|Adderall
birth control pills|oral contraceptives
medroxyprogesterone|Depo-Provera
levonorgestrel|Plan B
estradiol|oestradiol
doxycycline|Vibramycin
clindamycin|Cleocin
ceftriaxone|Rocephin
vancomycin|Vancocin
piperacillin-tazobactam|Zosyn
acyclovir|aciclovir
lorazepam|Ativan
diazepam|Valium
haloperidol|Haldol
olanzapine|Zyprexa
lithium|lithium carbonate
valproate|Depakote
phenytoin|Dilantin
carbamazepine|Tegretol
paroxetine|Paxil
fluoxetine|Prozac
citalopram|Celexa
mirtazapine|Remeron
amitriptyline|Elavil
buspirone|BuSpar
tramadol|Ultram
morphine|MS Contin
fentanyl|Duragesic
oxycodone|OxyContin
hydromorphone|Dilaudid
cyclosporine|Neoral
tacrolimus|Prograf
mycophenolate mofetil|CellCept
rituximab|Rituxan
trastuzumab|Herceptin
imatinib|Gleevec
pembrolizumab|Keytruda
doxorubicin|Adriamycin
anastrozole|Arimidex
letrozole|Femara
dexamethasone|Decadron
methylprednisolone|Medrol
hydrocortisone|Cortef
budesonide|Pulmicort
ipratropium|Atrovent
digoxin|Lanoxin
diltiazem|Cardizem
nifedipine|Procardia
verapamil|Calan
carvedilol|Coreg
propranolol|Inderal
clonidine|Catapres
hydralazine|Apresoline
ramipril|Altace
valsartan|Diovan
olmesartan|Benicar
simvastatin|Zocor
pravastatin|Pravachol
ezetimibe|Zetia
fenofibrate|Tricor
glipizide|Glucotrol
glyburide|glibenclamide
pioglitazone|Actos
liraglutide|Victoza
dapagliflozin|Farxiga
dabigatran|Pradaxa
enoxaparin|Lovenox
latanoprost|Xalatan
ibandronate|Boniva
risedronate|Actonel
oxybutynin|Ditropan
solifenacin|VESIcare
sulfasalazine|sulphasalazine
mesalamine|mesalazine
infliximab|Remicade
chlorpheniramine|chlorphenamine
promethazine|Phenergan
scopolamine|hyoscine
isoproterenol|isoprenaline
norepinephrine|noradrenaline
acetylcysteine|NAC
hydroxyurea|hydroxycarbamide
""".strip().splitlines()

DIFFERENT = """
hypertension|hypotension
hyperkalemia|hypokalemia
hyperthyroidism|hypothyroidism
hyperglycemia|hypoglycemia
hydroxyzine|hydralazine
clonidine|Klonopin
Celebrex|Celexa
Lamictal|Lamisil
prednisone|prednisolone
omeprazole|Nexium
citalopram|Lexapro
Zantac|Xanax
Zyprexa|Zyrtec
tramadol|trazodone
metformin|metronidazole
vincristine|vinblastine
chloroquine|hydroxychloroquine
dopamine|dobutamine
ephedrine|epinephrine
quinine|quinidine
amiloride|amlodipine
glipizide|glyburide
losartan|Cozaar HCT
ibuprofen|naproxen
morphine|hydromorphone
codeine|hydrocodone
insulin lispro|insulin glargine
type 1 diabetes|type 2 diabetes
diabetes insipidus|diabetes mellitus
ulcerative colitis|Crohn's disease
gastric ulcer|gastritis
pyelonephritis|cystitis
hepatitis B|hepatitis C
hepatitis A|hepatitis
rheumatoid arthritis|osteoarthritis
osteoporosis|osteopenia
osteomalacia|osteomyelitis
measles|German measles
chickenpox|smallpox
shingles|chickenpox
croup|whooping cough
aphasia|ataxia
dysphagia|dysphasia
dysphagia|odynophagia
ileus|ileum
myopia|hyperopia
stroke|heat stroke
stroke|TIA
heart attack|heart failure
heart attack|cardiac arrest
angina|heart attack
bradycardia|tachycardia
eczema|psoriasis
migraine|tension headache
lung cancer|pulmonary fibrosis
breast cancer|prostate cancer
leukemia|lymphoma
Hodgkin lymphoma|non-Hodgkin lymphoma
cold sore|canker sore
cold|cold sore
iron|iron deficiency
potassium|low potassium
vitamin D|vitamin D deficiency
alcohol|alcoholism
nephritis|nephrotic syndrome
kidney stones|gallstones
kidney failure|kidney disease
liver disease|liver failure
pneumonia|pneumothorax
bronchitis|bronchiolitis
asthma|COPD
hemorrhoids|anal fissure
menopause|hot flashes
anxiety|panic attack
schizophrenia|psychosis
dementia|Alzheimer's disease
delirium|dementia
seizure|syncope
vertigo|dizziness
fatigue|muscle weakness
weakness|fatigue
nausea|vomiting
pain|abdominal pain
edema|pulmonary edema
swelling|angioedema
bleeding|bruising
bleeding|rectal bleeding
ear infection|otitis media
urinary tract infection|kidney infection
strep throat|sore throat
endometriosis|endometritis
fibroids|fibromyalgia
colitis|cystitis
penicillin|amoxicillin
aspirin|acetaminophen
Advair|Flovent
Augmentin|amoxicillin
Percocet|oxycodone
Vytorin|simvastatin
insomnia|narcolepsy
anemia|iron deficiency anemia
hemophilia|hemochromatosis
polyuria|urinary frequency
polydipsia|polyphagia
hypersomnia|insomnia
fluoxetine|duloxetine
paroxetine|fluoxetine
levothyroxine|liothyronine
esomeprazole|omeprazole
levocetirizine|cetirizine
desloratadine|loratadine
escitalopram|citalopram
dexmethylphenidate|methylphenidate
levofloxacin|ofloxacin
""".strip().splitlines()
