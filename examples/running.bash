# What the examples share: they start programs, wait for what these do, speak to the REST surface, and end what they
# started, however they end themselves. Sourced by their scripts, from any directory; goes to the repository's root.
#
# RILLBOX      the program    by default $CARGO_TARGET_DIR/debug/rillbox, or target/debug/rillbox
# SERVE_FLAGS  more flags of the host, with spaces between them
set -euo pipefail

example=$(basename "$(dirname "$0")")
rillbox=${RILLBOX:+$(realpath --canonicalize-missing -- "$RILLBOX")}
# The file to write, for examples that write one.
output=${1:+$(realpath --canonicalize-missing -- "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${rillbox:=${CARGO_TARGET_DIR:-target}/debug/rillbox}" "${output:=target/$example/output.ts}"
components=guests/target/wasm32-wasip2/release
clip=tests/fixtures/bbb-720p25-idr1s.mp4
patience=60 # seconds that anything is waited for
servers=()  # must live as long as something is waited for

die() {
  echo "$example: $*" >&2
  exit 1
}

# Fails unless these components, and the program, are built.
needs() {
  local file
  for file in "$rillbox" "${@/#/$components/}"; do
    [[ -f $file ]] || die "$file is not there; run make build guests"
  done
}

scratch=$(mktemp -d)

# Ends what still runs of what was started here.
clean_up() {
  local status=$? running
  mapfile -t running <<<"$(jobs -rp)"
  [[ -z ${running[*]} ]] || kill "${running[@]}" 2>/dev/null || true
  wait
  ((status == 0)) || ! compgen -G "$scratch/*.log" >/dev/null || tail -n 20 "$scratch"/*.log >&2 || true
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a command in the background with its output in a file of that name, and gives its process in $started.
background() {
  local name=$1
  shift
  : >"$scratch/$name.log"
  NO_COLOR=1 "$@" >"$scratch/$name.log" 2>&1 &
  started=$!
}

# Starts a server in the background and waits until it is ready.
server() {
  background "$@"
  servers+=("$started")
  until_true "$1 was ready" is_ready "$1"
}

# Waits until a test holds; the servers must live meanwhile.
until_true() {
  local what=$1 deadline=$((SECONDS + patience)) server
  shift
  until "$@"; do
    for server in "${servers[@]}"; do
      kill -0 "$server" 2>/dev/null || die "a server ended before $what"
    done
    ((SECONDS < deadline)) || die "$what: not within $patience s"
    sleep 0.1
  done
}

# Waits for a background process, which must end well and in time.
finished() {
  local what=$1 pid=$2
  until_true "the end of $what" is_over "$pid"
  wait "$pid" || die "$what failed"
}

is_over() { ! kill -0 "$1" 2>/dev/null; }
is_ready() { grep -q ' ready ' "$scratch/$1.log"; }

# A call, as curl makes it; what is refused ends the script with the reason.
call() {
  local answer
  answer=$(curl --noproxy '*' --silent --show-error --fail-with-body --max-time "$patience" "$@") || die "$answer"
  echo "$answer"
}

# The status of the stream at this address.
status() { call "$1/api/stream/status"; }

# Whether so many pictures have left the encoder of the stream at this address.
has_sent() {
  local now
  now=$(status "$1") || exit
  [[ $now != *'"state":"E'* ]] || die "the stream is over: $now"
  [[ $now =~ \"output\":\{[^}]*\"frames\":([0-9]+) ]] && ((BASH_REMATCH[1] >= $2))
}

mkdir -p "$(dirname "$output")"
rm -f "$output"
