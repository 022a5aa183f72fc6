"""Names and messages that are an attack: a path, Markdown, HTML, terminal escapes, a spreadsheet's formula."""
