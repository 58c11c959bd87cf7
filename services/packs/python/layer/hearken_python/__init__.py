"""How Hearken runs the Python of packs.

`__main__` is the program; `server` is the prepared interpreter that is forked for each run; `run`
is what a run does, forked or started; `action` finds and calls the class of an action; `result`
makes JSON of what it returned; `service` is what an action may ask Hearken for; `keys` is the
datastore. Only the standard library is used, from Python 3.9 on.
"""
