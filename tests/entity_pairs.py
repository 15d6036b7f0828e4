"""References and answers that word the same facts differently, with the right recall and the invented entities.

Written for this project, from general medical knowledge. BUILT and MEASURED were written before the code; errors in
BUILT were looked at while it was built, those in MEASURED were not, but its author remembered the sentences. FRESH was
written when the code was finished, and scored once. `recall` is a fraction written as text: concepts of the reference
that the answer asserts, of all that the reference asserts ("unscored": it asserts none). `invented` are the words of
the answer that name something which neither reference nor question has.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    reference: str
    answer: str
    recall: str
    invented: tuple[str, ...] = ()
    question: str = "?"


MEASURED = (
    Pair("Myocardial infarction causes chest pain.", "A heart attack causes chest pain.", "2/2"),
    Pair(
        "Hypertension may lead to stroke and kidney failure.",
        "High blood pressure can end in a stroke or renal failure.",
        "3/3",
    ),
    Pair("Take acetaminophen for the fever.", "Tylenol brings a fever down.", "2/2"),
    Pair("COPD causes cough and dyspnea.", "Chronic obstructive pulmonary disease: cough, shortness of breath.", "3/3"),
    Pair("Iron deficiency anaemia and diarrhoea are common.", "Iron deficiency anemia, diarrhea.", "2/2"),
    Pair("Metformin may cause lactic acidosis.", "Metformin never leads to lactic acidosis.", "1/2"),
    Pair("Fever and cough are symptoms of influenza.", "Cough is a symptom of flu. Fever is not a symptom.", "2/3"),
    Pair(
        "The MMR vaccine protects children.",
        "It is a myth that the shot leads to autism. Measles is serious.",
        "unscored",
    ),
    Pair(
        "Gout is treated with allopurinol.",
        "According to the National Cancer Institute, gout needs allopurinol.",
        "2/2",
    ),
    Pair(
        "Amoxicillin treats otitis media.",
        "Amoxicillin 500 mg TDS for otitis media, then ibuprofen BD.",
        "2/2",
        ("ibuprofen",),
    ),
    Pair(
        "Lung cancer is linked to asbestos.",
        "Smoking and asbestos lead to lung cancer and emphysema.",
        "2/2",
        ("emphysema",),
    ),
    Pair("Headaches and nausea occur.", "**Symptoms**\n\n- Headache\n- Nausea\n- Tinnitus", "2/2", ("Tinnitus",)),
    Pair(
        "Diabetes, asthma and epilepsy.",
        "| Condition | Common |\n|---|---|\n| Asthma | yes |\n| Epilepsy | no |",
        "2/3",
    ),
    Pair("Warfarin may cause bleeding.", "WARFARIN CAN CAUSE BLEEDING AND JAUNDICE.", "2/2", ("JAUNDICE",)),
    Pair("Pneumonia is likely.", "Call your doctor if you develop pneumonia.", "0/1"),
    Pair("She has breast cancer.", "Her mother had breast cancer; she has mastitis.", "0/1", ("mastitis",)),
    Pair("Atrial fibrillation raises the risk of stroke.", "AF can lead to stroke.", "2/2"),
    Pair("Chickenpox causes a rash.", "Varicella comes with a rash and blisters.", "2/2", ("blisters",)),
    Pair(
        "Kidney stones cause severe pain.",
        "Nephrolithiasis is painful; there is pain and hematuria.",
        "2/2",
        ("hematuria",),
    ),
    Pair("GERD causes heartburn.", "Gastro-oesophageal reflux disease leads to heartburn.", "2/2"),
    Pair(
        "It does not cause cancer; it causes nausea.",
        "This drug does not cause:\n- cancer\n- stroke\n\nIt causes nausea.",
        "1/1",
    ),
    Pair("Ibuprofen can cause ulcers.", "Advil may lead to an ulcer.", "2/2"),
    Pair("Urinary tract infection causes dysuria.", "A UTI makes for painful urination.", "2/2"),
    Pair(
        "Sepsis causes hypotension and tachycardia.", "Sepsis brings low blood pressure and a rapid heart rate.", "3/3"
    ),
    Pair("Pulmonary embolism was ruled out. Pleurisy remains.", "PE is present.", "0/1", ("PE",)),
)

BUILT = (
    # Lay and clinical words
    Pair("Cerebrovascular accident.", "A stroke.", "1/1"),
    Pair("Symptoms include pruritus and dyspnea.", "You may have itching and trouble breathing.", "2/2"),
    Pair("Hyperlipidemia leads to atherosclerosis.", "High cholesterol leads to hardening of the arteries.", "2/2"),
    Pair("Epistaxis is common with aspirin.", "Nosebleeds are common with aspirin.", "2/2"),
    Pair("Pertussis can cause apnea.", "Whooping cough can cause apnoea.", "2/2"),
    Pair("Allergic rhinitis causes sneezing.", "Hay fever causes sneezing.", "2/2"),
    Pair(
        "Infectious mononucleosis causes fatigue.",
        "Mono makes you tired: fatigue, sore throat.",
        "2/2",
        ("sore throat",),
    ),
    Pair("Osteoporosis leads to fractures.", "Brittle bones lead to broken bones.", "2/2"),
    Pair("Varicella may be followed by herpes zoster.", "Chickenpox may be followed by shingles.", "2/2"),
    Pair("Hypoglycemia causes sweating.", "Low blood sugar causes sweating and seizures.", "2/2", ("seizures",)),
    Pair("Renal calculi.", "Kidney stones and a urinary tract infection.", "1/1", ("urinary tract infection",)),
    Pair("Deep vein thrombosis.", "A blood clot in the leg.", "1/1"),
    Pair("Type 2 diabetes causes neuropathy.", "T2DM causes nerve damage.", "2/2"),
    # Spelling, plurals
    Pair("Oesophagitis and goitre.", "Esophagitis and goiter.", "2/2"),
    Pair("Leukaemia causes anaemia and haemorrhage.", "Leukemia causes anemia and hemorrhages.", "3/3"),
    Pair("A headache or a seizure.", "Headaches and seizures.", "2/2"),
    Pair("Oedema and dyspnoea.", "Edema and dyspnea, with a metastasis.", "2/2", ("metastasis",)),
    Pair("Cancer of the breast.", "Breast cancer.", "1/1"),
    # Abbreviations
    Pair("Hypertension and type 2 diabetes mellitus.", "HTN and T2DM.", "2/2"),
    Pair("CHF causes edema.", "Congestive heart failure causes swelling; edema too.", "2/2"),
    Pair("Multiple sclerosis causes fatigue.", "MS causes fatigue.", "2/2"),
    Pair("Mitral stenosis (MS) causes dyspnea.", "Multiple sclerosis causes dyspnea.", "1/2", ("Multiple sclerosis",)),
    Pair("Rheumatoid arthritis is treated with methotrexate.", "RA is treated with MTX.", "2/2"),
    Pair("HIV infection and tuberculosis.", "HIV and TB.", "2/2"),
    Pair("CKD may cause hyperkalemia.", "Chronic kidney disease may cause high potassium.", "2/2"),
    # Brand and generic names
    Pair("Atorvastatin may cause myalgia.", "Lipitor can cause muscle pain.", "2/2"),
    Pair(
        "Paracetamol is hepatotoxic in overdose.",
        "In an overdose, acetaminophen may cause jaundice.",
        "2/3",
        ("jaundice",),
    ),
    Pair("Sertraline for depression.", "Zoloft or Prozac for depression.", "2/2", ("Prozac",)),
    Pair("Salbutamol relieves asthma.", "Albuterol (Ventolin) relieves asthma.", "2/2"),
    Pair("Adrenaline for anaphylaxis.", "An EpiPen: epinephrine for anaphylaxis.", "2/2"),
    # Assertion
    Pair("Statins may cause myopathy.", "Statins never cause myopathy.", "1/2"),
    Pair("Aspirin may cause bleeding.", "Aspirin prevents bleeding.", "1/2"),
    Pair("Chest pain is a symptom.", "Chest pain is not one of the symptoms.", "0/1"),
    Pair("Meningitis was found.", "Meningitis was ruled out.", "0/1"),
    Pair("Insomnia occurs.", "Tell your doctor if you have insomnia or glaucoma.", "0/1"),
    Pair("Seizures occur.", "Seizures are a myth: contrary to popular belief, it does not cause seizures.", "0/1"),
    Pair("Colon cancer.", "There is a family history of colon cancer. He has hemorrhoids.", "0/1", ("hemorrhoids",)),
    Pair("Fever, vomiting.", "Go to the emergency room if any of these occur:\n* Fever\n* Vomiting", "0/2"),
    Pair("Lupus causes rash.", "Lupus does not cause:\n1. Rash\n2. Baldness", "1/2"),
    # Names that are no entities
    Pair("Heart failure is common.", "The American Heart Association says heart failure is common.", "1/1"),
    Pair(
        "Asthma is common.", "The CDC (Centers for Disease Control and Prevention) says that asthma is common.", "1/1"
    ),
    Pair("Prednisone 5 mg.", "Prednisone 5 mg OD, exercise and a healthy diet.", "1/1"),
    Pair("Diabetes.", "The National Institute of Diabetes and Digestive and Kidney Diseases studies diabetes.", "1/1"),
    # Layout
    Pair("Fever, cough and fatigue.", "<ul><li>Fever</li><li>Cough</li><li>Fatigue</li></ul>", "3/3"),
    Pair(
        "Fever, cough and fatigue.", "- **Fever:** often high\n- **Cough:** dry\n- **Vomiting**", "2/3", ("Vomiting",)
    ),
    Pair("Migraine causes nausea.", "### MIGRAINE\n\n1. NAUSEA\n2. VOMITING", "2/2", ("VOMITING",)),
    Pair("Eczema is treated with hydrocortisone.", "__Eczema__ is treated with *hydrocortisone*.", "2/2"),
    Pair("Hepatitis B causes jaundice.", "Hepatitis\u202fB causes jaun\u00addice.", "2/2"),
    Pair("Anxiety and insomnia.", "☐ Anxiety<br>☐ Insomnia<br>☐ Tremor", "2/2", ("Tremor",)),
    Pair("Appendicitis causes vomiting.", "> **Appendicitis** &mdash; vomiting &amp; fever", "2/2", ("fever",)),
)

# Written after the code was finished, and scored once.
FRESH = (
    Pair("Cholelithiasis causes jaundice.", "Gallstones can turn the skin yellow.", "1/2"),
    Pair("Xerostomia is a side effect of amitriptyline.", "Elavil leaves you with a dry mouth.", "2/2"),
    Pair(
        "Hypokalemia causes arrhythmia.",
        "Low potassium leads to an irregular heartbeat and cramps.",
        "2/2",
        ("cramps",),
    ),
    Pair("Tuberculosis is treated with isoniazid and rifampin.", "TB: INH and rifampicin.", "3/3"),
    Pair("Furosemide may cause dehydration.", "Lasix, a water pill, may dehydrate you.", "1/2"),
    Pair("Sepsis needs vancomycin.", "Blood poisoning needs vancomycin and gentamicin.", "2/2", ("gentamicin",)),
    Pair("Myopia and cataract.", "Nearsightedness; cataracts.", "2/2"),
    Pair("Angina and hyperlipidaemia.", "ANGINA\nHIGH CHOLESTEROL\nGOUT", "2/2", ("GOUT",)),
    Pair("Croup causes stridor.", "Croup never causes stridor.", "1/2"),
    Pair("Endometriosis causes infertility.", "Her sister had endometriosis.", "0/2"),
    Pair("Celiac disease causes diarrhea.", "| Disease | Sign |\n|---|---|\n| Coeliac disease | Diarrhoea |", "2/2"),
    Pair("Lithium may cause tremor.", "1. **Lithium** may cause __tremors__\n2. Polyuria", "2/2", ("Polyuria",)),
    Pair("Vertigo and tinnitus.", "Call us if you notice vertigo. Tinnitus is usual.", "1/2"),
    Pair("Ranitidine treats GERD.", "Zantac treats acid reflux.", "2/2"),
    Pair("Rabies is fatal.", "The World Health Organization and the Rabies Alliance say rabies kills.", "1/1"),
    Pair("Diverticulitis causes fever.", "Diverticulitis gives you a temperature.", "2/2"),
    Pair("Amoxicillin may cause rash.", "Amoxicillin 250 mg QID PO may cause a skin rash.", "2/2"),
    Pair("Acute renal failure.", "AKI.", "1/1"),
    Pair("Vaccines protect infants. Pertussis is dangerous.", "Vaccination prevents whooping cough.", "0/1"),
    Pair("Scoliosis causes back pain.", "A curved spine gives you an aching back.", "2/2"),
)
