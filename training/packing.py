"""Whether a model keeps the rows of a packed batch apart."""

from __future__ import annotations

from typing import Any

ROW = 8  # tokens of each of the two rows that are tried


def packing_fault(model: Any) -> str:
    """Why `model` is not to be trained on packed rows; "" where it may.

    Packed as TRL packs them, the second of two rows must not depend on the first. Flash attention is told where rows
    begin; under eager and SDPA attention it hangs on whether the architecture hands the positions to its mask, so the
    model itself is asked: the gradient of the second row's logits with respect to the first row is exactly zero or not.
    """
    import torch
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    tokens = list(range(2 * ROW))
    collator = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    batch = collator([{"input_ids": tokens, "labels": tokens, "seq_lengths": [ROW, ROW]}])
    batch = {name: value.to(model.device) if torch.is_tensor(value) else value for name, value in batch.items()}
    del batch["labels"]
    with torch.enable_grad():
        embedded = model.get_input_embeddings()(batch.pop("input_ids")).detach().requires_grad_()
        logits = model(inputs_embeds=embedded, use_cache=False, **batch).logits
        (gradient,) = torch.autograd.grad(logits[0, ROW:].float().sum(), embedded)
    if not gradient[0, :ROW].any():
        return ""
    attention = model.config._attn_implementation
    return f"{model.config.model_type} models with {attention} attention let packed examples read one another."
