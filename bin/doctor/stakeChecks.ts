import { type Finding, risk } from './finding.ts';

export type Share = { readonly memberId: string; readonly stake: bigint };

/** Above a third a member stops the network alone, above two thirds it decides alone. */
export function checkStake(shares: readonly Share[]): Finding[] {
  const byMember = new Map<string, bigint>();
  let total = 0n;
  for (const { memberId, stake } of shares) {
    byMember.set(memberId, (byMember.get(memberId) ?? 0n) + stake);
    total += stake;
  }
  return [...byMember].flatMap(([memberId, stake]) => {
    if (3n * stake < total || total === 0n) return [];
    const decides = 3n * stake > 2n * total;
    return [
      risk(decides ? 'STAKE_DECIDES' : 'STAKE_THIRD', {
        what: `${memberId} has ${(stake * 100n) / total} % of the stake`,
        why: decides ? 'it makes blocks final alone' : 'without it nothing becomes final',
        fix: 'admit members or move stake: mpbp validator list, docs/membership.md',
      }),
    ];
  });
}
