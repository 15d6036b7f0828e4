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
