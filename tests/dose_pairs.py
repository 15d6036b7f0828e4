"""References and answers with doses: the share that the answer gives equally, and whether one of its doses contradicts.

Written for this project before reading the rules that they measure, and scored once. `share` is a fraction written as
text: doses of the reference that the answer gives, of all of the reference.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DosePair:
    reference: str
    answer: str
    share: str
    contradicts: bool = False
    question: str = "?"


PAIRS = (
    # Equal in other units
    DosePair("Levothyroxine 50 mcg once daily.", "Start levothyroxine at 0.05 mg every day.", "1/1"),
    DosePair("Fentanyl 100 micrograms IV.", "Give 100 µg of fentanyl intravenously.", "1/1"),
    DosePair("Amoxicillin 1 g three times a day.", "Take 1000 mg of amoxicillin TID.", "1/1"),
    DosePair("Metformin 500 mg twice daily.", "Metformin: 500 mg BID with meals.", "1/1"),
    DosePair("Digoxin 0.125 mg daily.", "Digoxin 125 mcg once a day is usual.", "1/1"),
    DosePair("Ceftriaxone 250 mg IM once.", "A single 0.25 g injection of ceftriaxone.", "1/1"),
    DosePair("Prednisone 40 mg daily for 5 days.", "Give 40 mg prednisone each morning for five days.", "1/1"),
    DosePair("Ibuprofen 400 mg every 6 hours.", "Take 400 mg of Advil four times a day.", "1/1"),
    DosePair(
        "Paracetamol 1 g every 6 hours, at most 4 g per day.",
        "Tylenol 1,000 mg q6h; no more than 4,000 mg in 24 hours.",
        "2/2",
    ),
    DosePair("Lisinopril 10 to 40 mg once daily.", "Lisinopril 20 mg once daily is a common dose.", "1/1"),
    # Per kg, per day or per dose
    DosePair("Amoxicillin 90 mg/kg/day in two doses.", "Give amoxicillin 45 mg/kg twice a day.", "1/1"),
    DosePair(
        "Acetaminophen 15 mg/kg per dose.", "Children get 15 mg of acetaminophen per kilogram of body weight.", "1/1"
    ),
    DosePair("Acyclovir 800 mg five times a day.", "In total, 4 g of acyclovir a day: 800 mg 5x daily.", "1/1"),
    DosePair("Enoxaparin 1 mg/kg every 12 hours.", "Enoxaparin 1.5 mg/kg every 12 hours.", "0/1", True),
    DosePair("Gentamicin 5 mg/kg once daily.", "Gentamicin is given as 5 mg once daily.", "0/1"),
    # Contradictions
    DosePair("Methotrexate 15 mg once weekly.", "Methotrexate 15 mg once daily.", "0/1", True),
    DosePair("Warfarin 5 mg daily.", "Start warfarin at 50 mg daily.", "0/1", True),
    DosePair("Epinephrine 0.3 mg IM.", "Inject 3 mg of epinephrine into the thigh.", "0/1", True),
    DosePair(
        "Azithromycin 500 mg on day 1, then 250 mg daily.",
        "Azithromycin 500 mg on day 1, followed by 500 mg daily.",
        "1/2",
    ),
    DosePair(
        "Colchicine 1.2 mg, then 0.6 mg one hour later.", "Take 1.2 mg colchicine, and 0.6 mg after an hour.", "2/2"
    ),
    DosePair("Vitamin D 800 IU daily.", "Take 8000 IU of vitamin D a day.", "0/1", True),
    # Missing
    DosePair("Aspirin 81 mg and clopidogrel 75 mg daily.", "Aspirin 81 mg plus clopidogrel daily.", "1/2"),
    DosePair("Omeprazole 20 mg daily.", "Omeprazole once a day before breakfast.", "0/1"),
    DosePair("Doxycycline 100 mg twice daily for 7 days.", "Azithromycin 1 g as a single dose.", "0/1"),
    # Two drugs, ranges, brands, traps
    DosePair("Give furosemide 40 mg and spironolactone 100 mg.", "Lasix 40 mg with Aldactone 100 mg.", "2/2"),
    DosePair(
        "Give furosemide 40 mg and spironolactone 100 mg.", "Spironolactone 40 mg and furosemide 100 mg.", "0/2", True
    ),
    DosePair("Sertraline 50-200 mg daily.", "Zoloft, 50 to 200 mg a day.", "1/1"),
    DosePair("Atorvastatin 40 mg at night.", "Take 40 mg of atorvastatin if your LDL is above 190 mg/dL.", "1/1"),
    DosePair(
        "500 mg three times daily.",
        "The usual dose is 0.5 g every eight hours.",
        "1/1",
        question="How much amoxicillin should I take?",
    ),
    DosePair(
        "Salbutamol 2 puffs every 4 hours as needed.", "Two puffs of albuterol every four hours when wheezing.", "1/1"
    ),
)

# Written with the earlier rules known, after a review had found what they misread, and before the rules were changed.
KINDS = {
    "combinations and millions": (
        DosePair("Amoxicillin-clavulanate 875/125 mg twice daily.", "Augmentin 875 mg/125 mg BID.", "2/2"),
        DosePair("Trimethoprim-sulfamethoxazole 160/800 mg twice daily.", "Bactrim DS (800/160 mg) BID.", "2/2"),
        DosePair("Sacubitril/valsartan 49/51 mg.", "Sacubitril/valsartan 97/103 mg.", "0/2", True),
        DosePair("Carbidopa/levodopa 25/100 mg TID.", "Levodopa/carbidopa 100/25 mg TID.", "2/2"),
        DosePair("Carbidopa/levodopa 25/100 mg TID.", "Carbidopa/levodopa 100/25 mg TID.", "0/2", True),
        DosePair("Codeine 30 mg and acetaminophen 300 mg.", "Acetaminophen/codeine 300 mg/30 mg.", "2/2"),
        DosePair(
            "Losartan/hydrochlorothiazide 50/12.5 mg daily.",
            "Losartan 50 mg and hydrochlorothiazide 25 mg daily.",
            "1/2",
            True,
        ),
        DosePair("Amoxicillin-clavulanate 875 mg twice daily.", "Augmentin 875/125 mg twice daily.", "1/1"),
        DosePair("Amoxicillin 250 mg twice daily.", "Amoxicillin 250 mg/5 mL: 250 mg twice daily.", "1/1"),
        DosePair("Colistin 4.5 million units.", "Colistin: 4,500,000 IU.", "1/1"),
        DosePair("Interferon 3 million IU.", "Interferon 30 million IU.", "0/1", True),
    ),
    "groups of patients": (
        DosePair("Cetirizine: adults 10 mg, children 5 mg.", "Cetirizine: adults 5 mg, children 10 mg.", "0/2", True),
        DosePair(
            "Loratadine 10 mg for adults and 5 mg for children.",
            "Children: loratadine 5 mg. Adults: loratadine 10 mg.",
            "2/2",
        ),
        DosePair(
            "Loratadine: adults 10 mg, children 5 mg.",
            "| Group | Loratadine |\n|---|---|\n| Adults | 5 mg |\n| Children | 10 mg |",
            "0/2",
            True,
        ),
        DosePair(
            "Citalopram 40 mg in adults; 20 mg in the elderly.",
            "Citalopram: adults 40 mg, people over 65 years 20 mg.",
            "2/2",
        ),
        DosePair(
            "Metformin 1000 mg daily; with kidney impairment 500 mg daily.",
            "Metformin 500 mg daily; with renal impairment 1000 mg daily.",
            "0/2",
            True,
        ),
        DosePair(
            "Montelukast: children under 6 years 4 mg, children over 6 years 5 mg.",
            "Montelukast 4 mg for ages over 6 years, 5 mg for ages under 6 years.",
            "0/2",
            True,
        ),
        DosePair(
            "Apixaban 5 mg if weight over 60 kg, 2.5 mg if weight under 60 kg.",
            "Apixaban 2.5 mg if over 60 kg, 5 mg if under 60 kg.",
            "0/2",
            True,
        ),
        DosePair(
            "Folic acid: pregnant women 400 mcg, other adults 200 mcg.",
            "Folic acid 0.4 mg in pregnancy, 0.2 mg for other adults.",
            "2/2",
        ),
        DosePair("Zolpidem 10 mg for men, 5 mg for women.", "Zolpidem 5 mg for men, 10 mg for women.", "0/2", True),
        DosePair("Cetirizine for children: 5 mg daily.", "Cetirizine: adults 10 mg daily; children 5 mg daily.", "1/1"),
        DosePair("Adults take cetirizine 10 mg daily.", "Cetirizine 10 mg daily.", "1/1"),
        DosePair(
            "Start metformin 500 mg daily; adults may increase to 1000 mg daily.",
            "Adults start metformin 500 mg daily and increase to 1000 mg daily.",
            "2/2",
        ),
    ),
    "what does not contradict": (
        DosePair("Acetaminophen 1000 mg.", "Acetaminophen 2 × 500 mg.", "1/1"),
        DosePair("Acetaminophen 1000 mg.", "Acetaminophen 3 x 500 mg.", "0/1", True),
        DosePair("Amlodipine 5 mg daily.", "Amlodipine 20 mg daily would be too high; take 5 mg daily.", "1/1"),
        DosePair("Amlodipine 5 mg daily.", "Amlodipine: 5 mg daily, not 50 mg.", "1/1"),
        DosePair("Lisinopril 10 mg daily.", "Lisinopril 10 mg daily and amlodipine is not recommended.", "1/1"),
        DosePair("Metformin 500 mg once daily.", "Metformin 500 mg with breakfast for a month.", "1/1"),
        DosePair("Metformin 500 mg twice daily.", "Metformin 500 mg with a meal.", "1/1"),
        DosePair(
            "Lisinopril 10 mg; amlodipine 5 mg.", "Lisinopril and amlodipine at 10 mg and 5 mg, respectively.", "2/2"
        ),
        DosePair(
            "Lisinopril 10 mg; amlodipine 5 mg.", "Lisinopril and amlodipine at 5 and 10 mg, respectively.", "0/2", True
        ),
    ),
    "other ways to write a dose": (
        DosePair("Insulin lispro 4 units before meals.", "Insulin lispro 4U before meals.", "1/1"),
        DosePair("Heparin 5000 units every 8 hours.", "5,000 U of heparin every 8 hours.", "1/1"),
        DosePair("Potassium chloride 20 mEq daily.", "Potassium chloride twenty milliequivalents daily.", "1/1"),
        DosePair("Folic acid 400 mcg daily.", "Folic acid four hundred micrograms daily.", "1/1"),
        DosePair("Ibuprofen 600 mg every 8 hours.", "Three 200 mg tablets of ibuprofen every 8 hours.", "1/1"),
        DosePair("Ibuprofen 600 mg every 8 hours.", "Ibuprofen: 3 tablets of 200 mg every 8 hours.", "1/1"),
        DosePair("Take 2 tablets of paracetamol 500 mg.", "Take 2 tablets of paracetamol.", "1/1"),
        DosePair("Lorazepam 0.5 mg at bedtime.", "Half of a 1 mg tablet of lorazepam at bedtime.", "1/1"),
        DosePair("Lorazepam 0.5 mg at bedtime.", "Lorazepam: a 1 mg tablet at bedtime.", "0/1", True),
        DosePair("Warfarin 5 mg daily.", "Warfarin 1/2 of a 10 mg tablet daily.", "1/1"),
        DosePair(
            "Magnesium sulfate 4 g over 20 minutes, then 1 g/h.", "Magnesium sulfate 4 g, then 1 g per hour.", "2/2"
        ),
        DosePair("Warfarin 5 mg daily.", "Do not take warfarin 50 mg daily, but 5 mg daily.", "1/1"),
        DosePair("Warfarin 5 mg daily.", "Do not take warfarin 5 mg daily.", "0/1"),
    ),
}
