#compdef akslogin
# Completion of akslogin for zsh.

_akslogin() {
	local -a lines candidates
	local line directive
	lines=("${(@f)$("${(Q)words[1]/#\~/$HOME}" __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
	for line in $lines; do
		case $line in
		:*) directive=${line#:} ;;
		*) candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
		esac
	done
	compset -P '--*='
	if (( $#candidates )); then
		_describe akslogin candidates
	elif [[ $directive == 0 ]]; then
		_files
	elif [[ $directive == 16 ]]; then
		_files -/
	fi
}

# As a file of $fpath this is the function itself; sourced, it registers the function.
if [[ $funcstack[1] == _akslogin ]]; then
	_akslogin "$@"
elif (( $+functions[compdef] )); then
	compdef _akslogin akslogin
fi
