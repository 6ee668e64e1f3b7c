"""From stored results to tables, figures and one page.

Nothing here estimates anything: the modules read tidy frames and manifests, and lay out what they find. The way of an exhibit:
`tidy` (what was stored, by cell), `tables` and `figures` (a `Table` or a `Figure`), `export` (files), `page` (one HTML page).
`exhibits` says which cells make which exhibit; a new one is an entry in ``conf/report``.
"""
