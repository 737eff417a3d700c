# A report for people: what has failed comes first. Names lose what could move a cursor.
def tame: tostring | gsub("[[:cntrl:]\u202a-\u202e\u2066-\u2069]"; " ");
def seconds: "\(. / 100 | round / 10) s";
def count(what): if . == 1 then "1 " + what else "\(.) " + what + "s" end;
def unless_empty(text): if length == 0 then "" else text end;

def good:
	"ok      \(.domain | tame): \(.snapshot | tame) of \(.disks | length | count("disk")), \(.level | tame), guest frozen \(.frozen_ms) ms"
	+ (if .paused_ms > 0 then ", paused \(.paused_ms) ms" else "" end)
	+ (if .recovered then ", unfinished work recovered first" else "" end)
	+ (.exported | unless_empty(", \(length) exported"))
	+ (.replicated | unless_empty(", \(length) replicated"))
	+ (.deleted | unless_empty(", \(length) deleted"))
	+ (.replicas_deleted | unless_empty(", \(length | count("replica")) deleted"))
	+ ", \(.took_ms | seconds)";

def bad:
	"FAILED  \(.domain | tame)" + (if .snapshot then ": \(.snapshot | tame), guest frozen \(.frozen_ms) ms, but" else "" end),
	(.errors[] | "        \(.step)\(if .place then " at " + (.place | tame) else "" end): \(.message | tame) (exit \(.code))", (select(.hint != "") | "        hint: \(.hint | tame)"));

"domsnap nightly on \(.host | tame), \(.began): \(.domains | length | count("domain")), \(.failed) failed, \(.took_ms | seconds)",
(select(.interrupted) | "INTERRUPTED: not all domains were reached"),
"",
(.domains[] | select(.ok | not) | bad),
(.domains[] | select(.ok) | good)
