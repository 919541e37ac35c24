# Completion of akslogin for bash.

_akslogin() {
	local word line before='' directive='' words=() whole attached='' cut='' action=''
	# COMP_WORDS splits at = and :, but the program's words end at blanks.
	for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
		if [[ ${#words[@]} -gt 0 && ($word == [=:]* || $before == [=:]*) ]]; then
			words[${#words[@]} - 1]+=$word
		else
			words+=("$word")
		fi
		before=$word
	done
	whole=${words[${#words[@]} - 1]}
	[[ $whole != --*=* ]] || attached=${whole%%=*}=
	# Readline replaces only what follows the last of these characters.
	for word in = :; do
		if [[ $COMP_WORDBREAKS == *$word* && $whole == *$word* && $whole != [\"\']* ]]; then
			line=${whole%"${whole##*"$word"}"}
			[[ ${#line} -le ${#cut} ]] || cut=$line
		fi
	done

	COMPREPLY=()
	while IFS= read -r line; do
		word=$attached${line%%$'\t'*}
		if [[ $line == :* ]]; then
			directive=${line#:}
		elif [[ $whole == [\"\']* ]]; then
			COMPREPLY+=("$word")
		else
			printf -v word %q "${word#"$cut"}"
			COMPREPLY+=("$word")
		fi
	done < <("${COMP_WORDS[0]/#\~/$HOME}" __complete "${words[@]//[\"\'\\]/}" 2>/dev/null)

	case $directive in
	0) action='file' ;;
	16) action='directory' ;;
	*) return ;;
	esac
	compopt -o filenames 2>/dev/null
	while IFS= read -r line; do
		COMPREPLY+=("$line")
	done < <(compgen -A $action -- "${whole#"$cut"}")
}
complete -F _akslogin akslogin
