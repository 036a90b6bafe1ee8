"""What a running instance is made of: its worker connection, its scratch folders, its end."""
