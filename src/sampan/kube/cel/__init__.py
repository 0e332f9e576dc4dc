"""CEL, the expression language of CRD rules and admission policies: `program.compile`. See docs/adr/0008-cel.md."""
