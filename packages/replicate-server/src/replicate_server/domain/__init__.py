"""Pure facts and rules: lifecycle, records, ids, errors. Imports nothing that does I/O."""
