"""Run by another Python, with transformers 4: the logits of model folders, as JSON on standard output.

older_transformers.py '{"prompt": "…", "folders": ["…"]}'
"""

import json
import sys

import torch
import transformers


def logits(folder: str, prompt: str) -> list[list[float]]:
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    # Version 4 leaves out the soft cap of Gemma 2 in its faster attention.
    model = kind.from_pretrained(folder, attn_implementation="eager").float().eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(prompt, return_tensors="pt")["input_ids"]
    decoder = {"decoder_input_ids": torch.tensor([[0, 5, 6]])} if config.is_encoder_decoder else {}
    with torch.no_grad():
        return model(input_ids=tokens, **decoder).logits[0].tolist()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    found = {folder: logits(folder, asked["prompt"]) for folder in asked["folders"]}
    json.dump({"version": transformers.__version__, "logits": found}, sys.stdout)
