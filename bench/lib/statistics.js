/** The middle of some numbers; NaN of none. What is no number counts for nothing. */
export function median(values) {
  const sorted = ascending(values);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The value that a share `q` (0 to 1) of them does not exceed; NaN of none. */
export function quantile(values, q) {
  const sorted = ascending(values);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? NaN;
}

/** The smallest and the largest; NaN of none. */
export function spread(values) {
  const sorted = ascending(values);
  return [sorted[0] ?? NaN, sorted.at(-1) ?? NaN];
}

const ascending = (values) => Float64Array.from([...values].filter(Number.isFinite)).sort();

/** A number with three digits that count: 53,958 and 13.6 and 0.27. */
export function format(value) {
  if (value == null || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  if (size >= 100) return value.toFixed(0);
  return value.toFixed(size >= 10 ? 1 : 2);
}

/** `median (min–max)`, or the value alone when there is one. */
export function formatSpread(values) {
  const known = [...values].filter(Number.isFinite);
  if (known.length < 2) return format(known[0]);
  return `${format(median(known))} (${spread(known).map(format).join('–')})`;
}

/** How the median of some numbers stands to that of the limit's, such as 0.27×. */
export function formatRatio(values, limits) {
  const ratio = median(values) / median(limits);
  return Number.isFinite(ratio) ? `${format(ratio)}×` : '–';
}

/** A Markdown table with a column for each key that some row has; the first is text, the others are numbers. */
export function markdownTable(rows) {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return [
    `| ${keys.join(' | ')} |`,
    `| ${keys.map((_, column) => (column === 0 ? '---' : '---:')).join(' | ')} |`,
    ...rows.map((row) => `| ${keys.map((key) => row[key] ?? '–').join(' | ')} |`),
  ].join('\n');
}
