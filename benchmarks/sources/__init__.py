"""Where items come from: files, hub, archives; checked rows; splits."""
