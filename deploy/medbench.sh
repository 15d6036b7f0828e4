#!/usr/bin/env bash
# Start and stop the medbench API and Ollama in containers.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<EOF
Usage: deploy/medbench.sh COMMAND

  up        build what is missing, start the API and Ollama, and wait until the API answers
  down      stop both; models and caches are kept
  logs      follow the logs; a service's name (api, ollama) shows only its own
  status    show what runs
  ollama    create an Ollama model from an export: deploy/medbench.sh ollama NAME (see medbench export --to ollama)

Settings are read from the environment or from deploy/.env:
  MODEL            what is served: a name of the zoo, NAME@TAG or a hub id (default: smollm2-135m)
  DEVICE           cpu or cuda (default: cpu)
  API_PORT         port of the API on this machine (default: 8000)
  OLLAMA_PORT      port of Ollama on this machine (default: 11434)
  ADAPTERS         folder of trained adapters (default: adapters in the repository)
  EXPORTS          folder of exports for Ollama (default: exports in the repository)
  MEDBENCH_API_KEY the key that clients send; "up" makes one if there is none
EOF
}

fail() {
    echo "Error: $1" >&2
    [ $# -lt 2 ] || echo "$2" >&2
    exit 1
}

need_docker() {
    command -v docker > /dev/null || fail "docker is not installed." "Install Docker Engine with the Compose plugin."
    docker compose version > /dev/null 2>&1 || fail "docker has no Compose plugin." "Install docker-compose-plugin."
    docker info > /dev/null 2>&1 || fail "the Docker daemon does not answer." "Start it, or join the group docker."
}

setting() { # the value of a setting: from the environment, from deploy/.env, or the default
    local value=${!1:-}
    if [ -z "$value" ] && [ -f "$here/.env" ]; then
        value=$(sed -n "s/^$1=//p" "$here/.env" | tail -n 1)
    fi
    echo "${value:-${2:-}}"
}

compose() {
    local files=(-f "$here/compose.yaml")
    [ "$(setting DEVICE cpu)" != cuda ] || files+=(-f "$here/compose.cuda.yaml")
    # Compose wants a key for every command; only "up" needs the real one.
    MEDBENCH_API_KEY=$(setting MEDBENCH_API_KEY unused) docker compose --project-directory "$here" "${files[@]}" "$@"
}

make_key() {
    [ -z "$(setting MEDBENCH_API_KEY)" ] || return 0
    local key
    key=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    (umask 077 && echo "MEDBENCH_API_KEY=$key" >> "$here/.env")
    echo "Made an API key. It is in deploy/.env."
}

wait_for_api() {
    local url seconds=0
    url="http://127.0.0.1:$(setting API_PORT 8000)/health"
    until curl -fsS -o /dev/null "$url" 2> /dev/null; do
        [ "$seconds" -lt "${WAIT_SECONDS:-600}" ] || fail "the API does not answer at $url." "Look at deploy/medbench.sh logs api."
        sleep 2
        seconds=$((seconds + 2))
    done
    echo "The API answers at ${url%/health}. Try it at ${url%/health}/docs"
}

case "${1:-}" in
    up)
        need_docker
        case "$(setting DEVICE cpu)" in cpu | cuda) ;; *) fail "DEVICE is '$(setting DEVICE)'." "Set it to cpu or cuda." ;; esac
        make_key
        mkdir -p "$(setting ADAPTERS "$here/../adapters")" "$(setting EXPORTS "$here/../exports")"
        compose up --detach --build
        wait_for_api
        ;;
    down)
        need_docker
        compose down
        ;;
    logs)
        need_docker
        compose logs --follow "${@:2}"
        ;;
    status)
        need_docker
        compose ps
        ;;
    ollama)
        [ -n "${2:-}" ] || fail "which export?" "Give the folder's name below exports: deploy/medbench.sh ollama NAME"
        need_docker
        [ -f "$(setting EXPORTS "$here/../exports")/$2/Modelfile" ] ||
            fail "there is no exports/$2/Modelfile." "Make it with: medbench export MODEL --to ollama --out exports/$2"
        compose exec ollama ollama create "$2" -f "/exports/$2/Modelfile"
        ;;
    -h | --help | help)
        usage
        ;;
    *)
        usage >&2
        exit 2
        ;;
esac
