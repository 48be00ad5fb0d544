# calloutctl.bash - completion of commands, options, and names from the configuration in force.
# shellcheck shell=bash

# Names of handlers or webhooks, as far as the daemon answers.
_calloutctl_names() {
	calloutctl config 2>/dev/null | sed -n "s/^ *$1 \"\\([A-Za-z0-9._-]*\\)\".*/\\1/p"
}

# Behind `webhook`, which is word number $1.
_calloutctl_webhook() {
	local i sub=''
	for ((i = $1 + 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} = -* ]] || { sub=${COMP_WORDS[i]}; break; }
	done
	case $sub in
	'') echo 'fields list show plan apply delete reactivate rotate-secret' ;;
	fields) echo '--udf Company Contact ConfigurationItem Ticket TicketNote' ;;
	show | plan) _calloutctl_names webhook ;;
	apply | reactivate | rotate-secret) echo "--dry-run $(_calloutctl_names webhook)" ;;
	delete) echo "--dry-run --yes $(_calloutctl_names webhook)" ;;
	esac
}

_calloutctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' i
	local filters='--webhook --handler --entity --id --action --kind --state'
	local bulk='--handler --since --until --webhook --entity --record --dry-run'
	COMPREPLY=()

	case $before in
	--config | --socket | --secret-file | --file | --request | --tls-certificate | --tls-key)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--state-directory | --directory | --output) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
	--webhook) words=$(_calloutctl_names webhook) ;;
	--handler) words=$(_calloutctl_names handler) ;;
	--kind) words='event quarantined deactivated restored' ;;
	--state) words='waiting done failed dropped' ;;
	--action) words='create update delete deactivated' ;;
	--test) words='failed quarantined deactivated silent backlog signature disk loop config paused certificate unavailable' ;;
	--entity) words='Company Contact ConfigurationItem Ticket TicketNote' ;;
	--for) words='30m 2h 1d' ;;
	--at-most) words='5m' ;;
	--waiting | --age | --dead-letters | --held | --silent | --unavailable | --disk | --certificate | --guard | --problems) return ;;
	--events) words='create,update,delete create update delete' ;;
	--public-url | --username | --owner | --listen | --id | --since | --until | --before | --limit | --record | --next | --via | --header) return ;;
	esac
	if [ -n "$words" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
		return
	fi

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--config | --socket) i=$((i + 1)) ;;
		-*) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	words='--config --socket --json --help --version'
	case $command in
	'') words+=' init status check doctor config reload events show tail retry drop replay forget hold release try alert send sign capture verify webhook recover guard backup restore' ;;
	check) words+=' --waiting --age --dead-letters --held --silent --unavailable --disk --certificate --guard --problems' ;;
	doctor) words+=' --local' ;;
	init) words+=' --entity --events --public-url --handler --username --owner --tls-certificate --tls-key --listen --webhook --directory --add' ;;
	events) words+=" $filters --since --until --before --limit --all --offline --state-directory" ;;
	show) words+=' --body --offline --state-directory' ;;
	tail) words+=" $filters" ;;
	retry) words+=" --failed --quarantined --skip-late $bulk" ;;
	drop) words+=" --failed --yes $bulk" ;;
	replay) words+=" --action --again $bulk" ;;
	forget) words+=' --entity --id --dry-run --drop-waiting' ;;
	hold) words+=" --for $(_calloutctl_names handler)" ;;
	release) words+=" --record $(_calloutctl_names handler)" ;;
	try) words+=" --webhook $(_calloutctl_names handler)" ;;
	alert) words+=' --test' ;;
	backup) words+=' --force --offline --state-directory' ;;
	restore) words+=' --dry-run --force --hold --moved --state-directory' ;;
	send) words+=' --webhook --via' ;;
	sign) words+=' --webhook --secret-file' ;;
	capture) words+=" --next --for --output --stop --list $(_calloutctl_names webhook)" ;;
	verify) words+=' --webhook --secret-file --header --file --request' ;;
	recover) words+=' --webhook --since --refetch --delete --dry-run' ;;
	guard) words+=' --dry-run --at-most' ;;
	webhook) words+=" $(_calloutctl_webhook "$i")" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	case $command in
	try | send | sign | verify | backup | restore) [[ $word = -* ]] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word") ;;
	esac
}
complete -F _calloutctl calloutctl
