"""Tables: what `kubectl get` shows of each kind. `printers.py` lists all of them; `table.py` makes the answers."""
