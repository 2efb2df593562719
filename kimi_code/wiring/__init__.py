"""Parts of the wiring diagram that `assembly` puts together: models, toolsets, isolated copies, swarms.

Like assembly it knows everyone below; nobody below knows it.
"""
