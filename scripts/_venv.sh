# Sourced by the other scripts: sets `root` and leaves a .venv that fits pyproject.toml and constraints.txt.
# Needs bash and a Python >= 3.11, nothing else, and works from any folder.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# A caller's own Python settings would leak into the environment that is meant to be the same everywhere.
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV

# Prints the path of the first Python on PATH that runs (a version manager's link may not), is new enough and can make
# environments. The path is the real one: an environment made through a link breaks when the link goes.
find_python() {
    local name answer seen=""
    for name in ${TURBINE_PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python; do
        command -v "$name" >/dev/null 2>&1 || continue
        answer=$("$name" -c '
import os, sys
if sys.version_info < (3, 11):
    print("is Python %d.%d" % sys.version_info[:2])
else:
    try:
        import ensurepip, venv
        print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
    except ImportError:
        print("lacks the modules venv and ensurepip (on Debian: apt-get install python3-venv)")
' 2>/dev/null) || answer="does not run"
        case "$answer" in
            /*) printf '%s\n' "$answer"; return 0 ;;
            *) seen="$seen  $name $answer"$'\n' ;;
        esac
    done
    printf 'Turbine needs Python 3.11 or newer on PATH, or its path in TURBINE_PYTHON.\n%s' "$seen" >&2
    return 1
}

python=$(find_python) || exit 1
"$python" -I "$root/scripts/_venv.py" || exit 1
