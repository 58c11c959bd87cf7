"""The program: `__main__.py run`, or `__main__.py serve PACK_FOLDER [bare]`.

Standard input is a socket in both cases. `run` does the one run that comes over it; `serve`
prepares the interpreter for the actions of a pack and forks it whenever the socket asks for it.
"""

import os
import sys

LAYER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    # The folder of this file came first; modules of packs are not to be shadowed by ours.
    sys.path[0] = LAYER
    last = os.path.join(os.path.dirname(LAYER), "last")
    if last not in sys.path:
        sys.path.append(last)
    if sys.version_info < (3, 9):
        sys.exit("Python 3.9 or newer is needed, this is " + sys.version.split()[0])
    if sys.argv[1:2] == ["serve"]:
        from hearken_python import server

        server.main(sys.argv[2], bare="bare" in sys.argv[3:])
    else:
        from hearken_python import run

        run.main(run.take_channel())


if __name__ == "__main__":
    main()
