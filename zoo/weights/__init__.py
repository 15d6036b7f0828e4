"""Where weights come from (hub, folder, GGUF file, package), and whether they are intact."""
