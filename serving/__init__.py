"""What is used outside medbench: exported models, the HTTP API, the chat."""
