"""How far metrics and judges agree with people's grades."""
