"""Where items come from: files, the hub, archives; validated rows; splits."""
