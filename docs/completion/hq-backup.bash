# Completion for hq-backup, hq-backupd and hq-restore (bash): commands and options come from the
# program itself.
_hq_backup() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local program=${COMP_WORDS[0]} dump command=- one two i
    dump=$("$program" --dump-options 2>/dev/null) || return
    for ((i = 1; i < COMP_CWORD; i++)); do
        one=${COMP_WORDS[i]} two="${COMP_WORDS[i]} ${COMP_WORDS[i + 1]:-}"
        if grep -q "^command"$'\t'"$two"$'\t' <<<"$dump"; then command=$two; break; fi
        if grep -q "^command"$'\t'"$one"$'\t' <<<"$dump"; then command=$one; break; fi
    done
    case $(awk -F'\t' -v c="$command" -v o="$previous" \
        '$1 == "option" && ($2 == c || $2 == "-") && $3 == o {print $6; exit}' <<<"$dump") in
    file) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    directory) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
    ''|flag) ;;
    *) return ;;
    esac
    if [[ $word != -* ]] && awk -F'\t' -v c="$command" \
        '$1 == "command" && $2 == c && $3 == "DIRECTORY" {found = 1} END {exit !found}' <<<"$dump"; then
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
    fi
    if [[ $word == -* || $command != - ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(awk -F'\t' -v c="$command" \
            '$1 == "option" && ($2 == c || $2 == "-") {print $3}' <<<"$dump")" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(awk -F'\t' '$1 == "command" {print $2}' <<<"$dump")" -- "$word")
    fi
}
complete -F _hq_backup hq-backup hq-backupd hq-restore
