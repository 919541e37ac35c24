# Completion of akslogin for fish.

function __akslogin_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string replace -r -a '["\'\\\\]' '')
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -l lines ($program __complete $words[2..-1] "$current" 2>/dev/null)
    set -l attached (string match -r '^--[^=]*=' -- "$current")
    set -l value (string replace -- "$attached" '' "$current")
    set -l candidates (string match -v -r '^:' -- $lines)
    switch "$lines[-1]"
        case :0
            set candidates (__fish_complete_path "$value")
        case :16
            set candidates (__fish_complete_directories "$value" '')
    end
    for candidate in $candidates
        echo "$attached$candidate"
    end
end

complete -c akslogin -f -a '(__akslogin_complete)'
