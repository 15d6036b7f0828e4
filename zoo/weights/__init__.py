"""Where weights come from, and whether they are whole: hub, folder, GGUF file, package."""
