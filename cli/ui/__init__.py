"""What people see: tables, progress, screens."""
