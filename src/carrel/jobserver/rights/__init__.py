"""Who may do what: permissions, the default roles, the rights of one person, and what each URL needs."""
