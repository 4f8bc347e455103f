/** A plan as `explain (analyze, buffers, format json)` tells it. */
export interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  /** With `buffers`: those of what is below among them. */
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: Plan[];
}

export const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

/** Rows that the plan's scans fetched, those that a filter threw away among them. */
export const touched = (
  plan: Plan,
  isCounted = (scan: Plan): boolean => scan['Node Type'].includes('Scan'),
): number =>
  nodesOf(plan)
    .filter(isCounted)
    .map((node) => {
      const thrownAway = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
      return (node['Actual Rows'] + thrownAway) * node['Actual Loops'];
    })
    .reduce((sum, rows) => sum + rows, 0);
