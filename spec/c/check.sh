#!/bin/sh
# Compares all streams with md5.txt: whole, in bands, and from the middle.
DEC=$(readlink -f "$1")
cd "$(dirname "$0")/../streams" || exit 1
bad=0
judge() { if [ "$2" = "$3" ]; then echo "ok   $1"; else echo "BAD  $1: $2, not $3"; bad=1; fi; }
grep -v '^#' md5.txt > /tmp/nrv_check.$$
while read -r file rest; do
    sum=${rest##* }
    options=${rest% *}
    [ "$options" = native ] && options=
    judge "$file $options" "$($DEC $options --total-md5 "$file" 2>&1)" "$sum"
    judge "$file $options in bands" "$($DEC $options --total-md5 --bands 18 "$file" 2>&1)" "$sum"
    [ -n "$options" ] && continue
    all=$($DEC --md5 "$file" 2>&1)
    count=$(echo "$all" | wc -l)
    from=$((count / 2))
    judge "$file from frame $from" "$($DEC --md5 --frames $from: "$file" 2>&1 | md5sum)" "$(echo "$all" | tail -n +$((from + 1)) | md5sum)"
done < /tmp/nrv_check.$$
rm -f /tmp/nrv_check.$$
for file in hybrid nirvana_c sine; do
    python3 ../c/side_test.py "$DEC" $file.nrv || bad=1
done
exit $bad
