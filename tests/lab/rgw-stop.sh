#!/bin/bash
# rgw-stop.sh DIR: end what rgw-start.sh started in DIR.
exec "$(dirname "$0")/lab-stop.sh" "$1"
