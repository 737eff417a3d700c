# Completion of domsnap for fish. The program itself says what a word could become.

function __domsnap_candidates
    set -l words (commandline -opc)
    $words[1] complete -- $words[2..-1] (commandline -ct) 2>/dev/null
end

function __domsnap_has_none
    test (count (__domsnap_candidates)) -eq 0
end

complete -c domsnap -f -a '(__domsnap_candidates)'
complete -c domsnap -n __domsnap_has_none -F
