"""Pairs of references and answers from many specialties, in the form of entity_pairs.py, with their labels.

Written for this project, from general medical knowledge, before reading the rules and word lists that they measure
(their author had seen the description in docs/metrics.md and a few older pairs). A random half, FIRST, was read
afterward to find what is missing; SECOND was scored without being read. `recall` is what a clinician would count:
diseases, symptoms and drugs of the reference that the answer asserts, in whatever words.
"""

from __future__ import annotations

import random

from entity_pairs import Pair

PAIRS = (
    # Heart and vessels
    Pair(
        "Myocardial infarction typically presents with chest pain and diaphoresis.",
        "**Heart attack:** expect chest pain and heavy sweating.",
        "3/3",
    ),
    Pair(
        "Patients with atrial fibrillation receive apixaban or rivaroxaban.",
        "With AFib, doctors usually prescribe Eliquis or Xarelto.",
        "3/3",
    ),
    Pair(
        "Rosuvastatin is the first choice for hypercholesterolemia.",
        "Lipitor is the first choice for high cholesterol.",
        "1/2",
        ("Lipitor",),
    ),
    Pair(
        "Furosemide relieves the edema of congestive heart failure; it may cause hypokalemia.",
        "Lasix, a water pill, eases the swelling of CHF but can leave you with low potassium.",
        "4/4",
    ),
    Pair(
        "Mitral stenosis is usually a late result of rheumatic fever.",
        "MS usually follows rheumatic fever, often years later.",
        "2/2",
        question="What causes mitral stenosis?",
    ),
    Pair(
        "Amlodipine may cause ankle edema and flushing.",
        "Norvasc can cause swollen ankles and flushing. It doesn't cause a cough.",
        "3/3",
    ),
    Pair(
        "Lisinopril may cause cough, angioedema and hyperkalaemia.",
        "Zestril can cause a dry cough and angioedema. Hyperkalemia isn't a concern with it.",
        "3/4",
    ),
    # Lungs
    Pair(
        "Albuterol relieves bronchospasm. Common adverse effects are tremor and palpitations.",
        "ProAir or Ventolin relieves bronchospasm. Shaky hands and a pounding heart are common.",
        "4/4",
    ),
    Pair(
        "Pneumonia causes fever, cough and dyspnea.",
        "If you develop shortness of breath, call your doctor. Pneumonia gives you a fever and a cough.",
        "3/4",
    ),
    # Skin and allergy
    Pair("Hydroxyzine is used for pruritus.", "Hydralazine is used for itching.", "1/2", ("Hydralazine",)),
    Pair("Tinea pedis is treated with terbinafine.", "Athlete's foot clears up with Lamisil.", "2/2"),
    Pair("Urticaria and angioedema may follow penicillin.", "Hives and angio-oedema can come after penicillin.", "3/3"),
    Pair(
        "For allergic rhinitis, cetirizine, loratadine or fluticasone can be used.",
        "For hay fever, try Zyrtec, Claritin or Flonase.",
        "4/4",
    ),
    # Stomach and bowel
    Pair("Gastroesophageal reflux disease is treated with omeprazole.", "GORD usually responds to Prilosec.", "2/2"),
    Pair(
        "Hematochezia may result from diverticulosis, hemorrhoids or colorectal cancer.",
        "Blood in the stool can come from piles, diverticulosis or bowel cancer.",
        "4/4",
    ),
    Pair(
        "Cholelithiasis may lead to cholecystitis and jaundice.",
        "Gallstones can end in an inflamed gallbladder and yellowing of the skin.",
        "3/3",
    ),
    Pair(
        "Celiac disease causes diarrhoea, steatorrhoea and iron deficiency.",
        "Coeliac disease leads to loose stools, fatty stools and low iron.",
        "4/4",
    ),
    Pair(
        "Ondansetron is given for nausea and vomiting.",
        "Zofran is given for feeling sick and throwing up. It may cause headache.",
        "3/3",
        ("headache",),
    ),
    Pair("Omeprazole treats peptic ulcer disease.", "Nexium treats PUD.", "1/2", ("Nexium",)),
    # Nerves
    Pair(
        "Multiple sclerosis can begin with optic neuritis.",
        "MS may start with inflammation of the optic nerve.",
        "2/2",
        question="What are the first signs of MS?",
    ),
    Pair(
        "Morphine sulfate (MS) may cause respiratory depression and constipation.",
        "Multiple sclerosis may cause constipation.",
        "1/3",
        ("Multiple sclerosis",),
    ),
    Pair(
        "Ropinirole treats restless legs syndrome and Parkinson disease.",
        "Requip treats RLS and Parkinson's.",
        "3/3",
    ),
    Pair(
        "A transient ischemic attack may precede a stroke. Symptoms are hemiparesis and aphasia.",
        "A mini-stroke may come before a full stroke. Watch for weakness on one side and difficulty speaking.",
        "4/4",
    ),
    Pair(
        "Phenytoin controls seizures but may cause gingival hyperplasia.",
        "Dilantin keeps fits under control, though it may cause gum overgrowth.",
        "3/3",
    ),
    # Mind
    Pair(
        "Escitalopram is used for major depressive disorder and generalised anxiety disorder.",
        "Lexapro is used for MDD and GAD.",
        "3/3",
    ),
    Pair("Celecoxib may cause dyspepsia.", "Celexa may cause indigestion.", "1/2", ("Celexa",)),
    Pair(
        "In bipolar disorder, lithium may cause hypothyroidism, tremor and polyuria.",
        "In manic depression, lithium can lead to an underactive thyroid, shaking and passing a lot of urine.",
        "5/5",
    ),
    Pair(
        "Lamotrigine may cause Stevens-Johnson syndrome.",
        "Lamictal may cause SJS, and Lamisil may cause hepatitis.",
        "2/2",
        ("Lamisil", "hepatitis"),
    ),
    Pair(
        "Clonidine is one option.",
        "Klonopin is one option.",
        "0/1",
        ("Klonopin",),
        "Which drug lowers the blood pressure?",
    ),
    # Hormones
    Pair(
        "Diabetic ketoacidosis leads to dehydration; polydipsia and polyuria are common.",
        "DKA leads to dehydration. Excessive thirst and excessive urination are typical.",
        "4/4",
    ),
    Pair(
        "Type 2 diabetes mellitus is treated with metformin and sitagliptin.",
        "Adult-onset diabetes is treated with Glucophage and Januvia. Jardiance comes next.",
        "3/3",
        ("Jardiance",),
    ),
    Pair(
        "Hashimoto thyroiditis causes hypothyroidism; levothyroxine is the treatment.",
        "Hashimoto's disease leads to an underactive thyroid, so people take Synthroid.",
        "3/3",
    ),
    Pair(
        "Adverse effects of prednisone are weight gain, insomnia, hyperglycemia and osteoporosis.",
        "**What Deltasone can do**\n\n- Putting on weight\n- Trouble sleeping\n- High blood sugar\n- Thinning bones",
        "5/5",
    ),
    # Infections
    Pair(
        "Pneumocystis pneumonia occurs in AIDS; trimethoprim-sulfamethoxazole is the treatment.",
        "PCP is seen in AIDS and treated with Bactrim.",
        "3/3",
    ),
    Pair(
        "Phencyclidine may cause agitation.",
        "PCP may cause agitation and nystagmus.",
        "2/2",
        ("nystagmus",),
        "What does PCP do to the body?",
    ),
    Pair("Chloroquine treats malaria.", "Hydroxychloroquine treats malaria.", "1/2", ("Hydroxychloroquine",)),
    # Blood and cancer
    Pair(
        "Iron deficiency anaemia causes pallor, fatigue and pica.",
        "IDA makes people pale and tired, and some crave ice (pica).",
        "4/4",
    ),
    Pair(
        "Thrombocytopenia leads to petechiae, epistaxis and menorrhagia.",
        "A low platelet count leads to tiny red spots (petechiae), nosebleeds and heavy periods.",
        "4/4",
    ),
    Pair(
        "Acute lymphoblastic leukemia is treated with vincristine.",
        "ALL is treated with vinblastine.",
        "1/2",
        ("vinblastine",),
    ),
    Pair("Warfarin interacts with aspirin and may cause hemorrhage.", "Coumadin plus ASA can cause bleeding.", "3/3"),
    Pair(
        "Neutropenia and alopecia are adverse effects of doxorubicin.",
        "Adriamycin can bring a low neutrophil count, hair loss and mouth sores.",
        "3/3",
        ("mouth sores",),
    ),
    Pair(
        "Non-Hodgkin lymphoma may cause lymphadenopathy and night sweats.",
        "NHL may cause swollen lymph nodes and sweating at night.",
        "3/3",
    ),
    Pair(
        "Tamoxifen treats breast carcinoma but may lead to endometrial cancer.",
        "Nolvadex treats cancer of the breast but may lead to cancer of the endometrium.",
        "3/3",
    ),
    # Joints and bones
    Pair(
        "Osteoarthritis causes arthralgia; ibuprofen or naproxen may help.",
        "OA, or wear-and-tear arthritis, causes joint pain. Motrin or Aleve may help.",
        "4/4",
    ),
    Pair(
        "Systemic lupus erythematosus may cause arthritis and nephritis.",
        "SLE may cause arthritis, kidney inflammation and hair loss.",
        "3/3",
        ("hair loss",),
    ),
    Pair(
        "Osteoporosis is treated with alendronate, which may cause osteonecrosis of the jaw.",
        "Fosamax is given for osteoporosis; rarely it leads to ONJ.",
        "3/3",
    ),
    Pair(
        "Dermatomyositis (DM) causes a rash and weakness.",
        "Diabetes mellitus causes weakness.",
        "1/3",
        ("Diabetes mellitus",),
    ),
    # Women, pregnancy
    Pair(
        "Preeclampsia presents with hypertension and proteinuria.",
        "Pre-eclampsia: raised blood pressure and protein in the urine.",
        "3/3",
    ),
    Pair(
        "Uterine leiomyomas may cause dysmenorrhea and infertility.",
        "Fibroids can cause painful periods and trouble getting pregnant.",
        "3/3",
    ),
    Pair(
        "Polycystic ovary syndrome causes hirsutism, amenorrhoea and acne.",
        "PCOS brings excess facial hair, absent periods and acne.",
        "4/4",
    ),
    Pair(
        "Bacterial vaginosis is treated with metronidazole; vaginal candidiasis with fluconazole.",
        "BV: Flagyl. Vaginal yeast infection: Diflucan.",
        "4/4",
    ),
    # Kidney and bladder
    Pair(
        "Benign prostatic hyperplasia causes nocturia and urinary retention; tamsulosin helps.",
        "An enlarged prostate leads to night-time urination and being unable to urinate; Flomax helps.",
        "4/4",
    ),
    Pair(
        "Sildenafil treats erectile dysfunction.", "Cialis treats ED.", "1/2", ("Cialis",), "Which medicine treats ED?"
    ),
    Pair(
        "Acute kidney injury may cause hyperkalemia and oliguria.",
        "AKI may cause high potassium levels and low urine output.",
        "3/3",
    ),
    Pair(
        "Pyelonephritis causes fever and flank pain.",
        "A kidney infection gives you a fever and pain in the flank.",
        "3/3",
    ),
    # Eyes, ears
    Pair("Conjunctivitis is contagious; myopia is not.", "Pink eye is contagious; nearsightedness isn't.", "2/2"),
    Pair(
        "Ménière disease causes vertigo, tinnitus and hearing loss.",
        "Meniere's disease makes the room spin (vertigo), with ringing in the ears and deafness.",
        "4/4",
    ),
    Pair(
        "Otitis media may cause otalgia and pyrexia.",
        "A middle ear infection may cause an earache and a high temperature.",
        "3/3",
    ),
    # Poisoning, examination
    Pair(
        "Acetylcysteine is the antidote for paracetamol poisoning.",
        "NAC is the antidote for Tylenol poisoning.",
        "3/3",
    ),
    Pair("Physical examination (PE) shows jaundice.", "PE shows jaundice.", "1/1"),
)

# Written when the code was first finished, and scored then; its errors were looked at afterward.
LATER = (
    Pair(
        "Gastric ulcers are often caused by Helicobacter pylori or by nonsteroidal anti-inflammatory drugs.",
        "Stomach ulcers usually come from an infection with *H. pylori* or from NSAIDs such as naproxen.",
        "3/3",
        ("naproxen",),
    ),
    Pair(
        "Cirrhosis can lead to ascites, jaundice and hepatic encephalopathy.",
        "Scarring of the liver may cause fluid to build up in the belly (ascites), yellow eyes, and confusion.",
        "3/4",
        ("confusion",),
    ),
    Pair(
        "Common side effects of sertraline: nausea, diarrhea, insomnia, decreased libido.",
        "With Zoloft you may get an upset stomach with nausea, loose stools, trouble sleeping and a lower sex drive.",
        "5/5",
        ("upset stomach",),
    ),
    Pair(
        "Polymyalgia rheumatica is treated with prednisone.",
        "PMR responds quickly to prednisolone.",
        "1/2",
        ("prednisolone",),
    ),
    Pair(
        "The patient most likely has nephrolithiasis with hematuria.",
        "This sounds like a kidney stone, and it explains the blood in your urine.",
        "2/2",
    ),
    Pair(
        "Hypoglycaemia may cause sweating, tremor, confusion and seizures.",
        "When blood sugar drops too low (hypoglycemia), people sweat, tremble and get confused; some have a seizure.",
        "5/5",
    ),
    Pair(
        "Isotretinoin causes birth defects and dry skin.",
        "Accutane can harm an unborn baby (birth defects). Dry skin is common, too.",
        "3/3",
    ),
    Pair(
        "Ciprofloxacin may cause tendon rupture.",
        "Cipro has been linked to a torn tendon. Ceftriaxone has not.",
        "2/2",
        ("Ceftriaxone",),
    ),
    Pair("Spironolactone may cause gynaecomastia.", "Aldactone may cause breast enlargement in men.", "2/2"),
    Pair(
        "Herpes labialis is treated with aciclovir.",
        "Cold sores heal faster with acyclovir cream.",
        "2/2",
    ),
    Pair(
        "Psoriasis vulgaris may be treated with methotrexate or adalimumab.",
        "Plaque psoriasis: MTX or Humira. Both may raise the risk of infection.",
        "3/3",
        ("infection",),
    ),
    Pair(
        "Sudden sensorineural hearing loss with tinnitus calls for prednisone.",
        "Sudden deafness with ringing in the ears calls for steroids.",
        "2/3",
    ),
    Pair(
        "Deep vein thrombosis may lead to pulmonary embolism; heparin is given.",
        "A DVT can travel to the lungs (PE). Blood thinners such as heparin are given.",
        "3/3",
    ),
    Pair(
        "Anaphylaxis is treated with adrenaline, not with antihistamines alone.",
        "For a severe allergic reaction, use your EpiPen right away.",
        "2/2",
    ),
    Pair(
        "Bell's palsy is treated with prednisolone.",
        "Facial nerve paralysis without another cause (Bell palsy) improves with prednisolone.",
        "2/2",
    ),
    Pair(
        "Trigeminal neuralgia responds to carbamazepine.",
        "Tegretol is the usual drug for this kind of face pain, trigeminal neuralgia. Trileptal is another choice.",
        "2/2",
        ("face pain", "Trileptal"),
    ),
    Pair(
        "Wilson disease leads to tremor and cirrhosis.", "Wilson's disease leads to shaking and a scarred liver.", "3/3"
    ),
    Pair(
        "RA: rheumatoid arthritis causes joint stiffness.",
        "In RA, joints are stiff in the morning: stiff joints are typical.",
        "2/2",
    ),
    Pair(
        "In CF, thick mucus leads to pneumonia.",
        "Cystic fibrosis leads to repeated lung infections.",
        "2/2",
    ),
    Pair(
        "Aortic stenosis (AS) may cause syncope and angina.",
        "AS may make you faint on exertion: syncope and angina are warning signs. It does not cause back pain.",
        "3/3",
    ),
    Pair(
        "Ankylosing spondylitis causes back pain and uveitis.",
        "AS causes back pain and, at times, inflammation of the uvea.",
        "3/3",
        question="What does ankylosing spondylitis do?",
    ),
    Pair(
        "Hand, foot and mouth disease causes fever and blisters.",
        "HFMD gives children a temperature (fever) and blisters on the palms.",
        "3/3",
    ),
    Pair("Scabies is treated with permethrin.", "Elimite cream clears scabies; Nix is for lice.", "2/2", ("lice",)),
    Pair(
        "Otosclerosis causes hearing loss.",
        "Osteosclerosis causes hearing loss.",
        "1/2",
        ("Osteosclerosis",),
    ),
    Pair(
        "Dysphasia may follow a stroke.",
        "Dysphagia may follow a stroke.",
        "1/2",
        ("Dysphagia",),
    ),
    Pair(
        "Kawasaki disease is treated with aspirin and immunoglobulin.",
        "Give IVIG and ASA for Kawasaki disease.",
        "3/3",
    ),
    Pair(
        "Vitamin B12 deficiency causes paresthesia and macrocytic anemia.",
        "Too little B12 causes tingling and macrocytic anaemia.",
        "3/3",
    ),
    Pair(
        "Bronchiolitis in infants is mostly caused by RSV and leads to wheezing.",
        "Respiratory syncytial virus is the main cause of bronchiolitis; babies may wheeze.",
        "3/3",
    ),
    Pair(
        "Postpartum haemorrhage is treated with oxytocin and misoprostol.",
        "Heavy bleeding after birth: give Pitocin, then Cytotec.",
        "3/3",
    ),
    Pair(
        "Chronic kidney disease leads to anaemia and hyperphosphataemia.",
        "CKD → low red blood cell count, high phosphate. It never causes gallstones.",
        "3/3",
    ),
)

# Written when the errors of LATER were corrected, and scored once.
LAST = (
    Pair("Croup causes stridor and hoarseness.", "In croup, the voice is hoarse and there is stridor.", "3/3"),
    Pair(
        "Peripheral vascular disease leads to claudication.",
        "PAD leads to leg cramps when walking (claudication) and, later, gangrene.",
        "2/2",
        ("gangrene",),
    ),
    Pair("Torsemide treats edema.", "Demadex helps with fluid retention.", "2/2"),
    Pair("Zolpidem may cause sleepwalking.", "Ambien can make people walk in their sleep (sleepwalking).", "2/2"),
    Pair(
        "Lice are treated with permethrin.",
        "Use permethrin lotion for head lice. Ivermectin is an option.",
        "2/2",
        ("Ivermectin",),
    ),
    Pair("Salicylate poisoning causes tinnitus.", "Too much aspirin causes ringing in your ears.", "1/2"),
    Pair(
        "Vertigo with nystagmus suggests labyrinthitis.",
        "Spinning dizziness and jerky eye movements point to an inner ear infection.",
        "3/3",
    ),
    Pair("Testicular torsion causes acute scrotal pain.", "Torsion of the testicle causes sudden scrotal pain.", "2/2"),
    Pair("Bupropion lowers the seizure threshold.", "Wellbutrin makes seizures more likely.", "2/2"),
    Pair("Hyperemesis gravidarum leads to dehydration.", "Severe morning sickness can leave you dehydrated.", "2/2"),
    Pair("Pruritus ani may be due to pinworms.", "An itchy bottom may be due to threadworms.", "2/2"),
    Pair("Rosacea is treated with metronidazole gel.", "MetroGel is used for rosacea, never for psoriasis.", "2/2"),
    Pair(
        "Dabigatran may cause dyspepsia and bleeding.",
        "Pradaxa can upset the stomach (indigestion) and make you bleed.",
        "3/3",
    ),
    Pair(
        "Mirabegron treats overactive bladder.", "For OAB, Myrbetriq is an alternative to Detrol.", "2/2", ("Detrol",)
    ),
    Pair("TB is treated with isoniazid and rifampin.", "Tuberculosis: INH plus rifampicin.", "3/3"),
    Pair("Hypopituitarism causes amenorrhea.", "Hyperpituitarism causes amenorrhoea.", "1/2", ("Hyperpituitarism",)),
    Pair("Tretinoin treats acne.", "Isotretinoin treats acne.", "1/2", ("Isotretinoin",)),
    Pair(
        "SSRIs may cause hyponatremia.",
        "Selective serotonin reuptake inhibitors can make the sodium level fall, causing low blood sodium.",
        "2/2",
    ),
    Pair("CMV causes retinitis.", "Cytomegalovirus may inflame the retina, causing retinitis.", "2/2"),
    Pair(
        "Diabetes insipidus causes polyuria and thirst.",
        "DI makes people pass large amounts of urine and feel very thirsty.",
        "3/3",
        question="What are the symptoms of diabetes insipidus?",
    ),
)

_SHUFFLED = random.Random(17).sample(PAIRS, len(PAIRS))
FIRST, SECOND = tuple(_SHUFFLED[:30]), tuple(_SHUFFLED[30:])
