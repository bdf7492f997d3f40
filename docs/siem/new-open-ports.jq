# jq -n -c -f new-open-ports.jq yesterday.jsonl today.jsonl
reduce inputs as $r ({};
  (if .first then . else .first = input_filename end)
  | (if input_filename == .first then "before" else "now" end) as $scan
  | if $r.type == "port" and $r.state == "open" then .[$scan]["\($r.ip) \($r.port)"] = $r
    elif $r.type == "scan_end" then .ended[$scan] = $r.complete
    else . end)
| if .ended.before and .ended.now then . else error("one of the scans is not complete") end
| .before as $before
| (.now // {}) | to_entries[] | select($before[.key] | not) | .value
