import type { Core } from '#consensus/core/core.ts';
import { isProposable } from '#consensus/core/messages.ts';
import { statementKey } from '#src/types/vote.ts';
import { FOREIGN, type Gate, SECOND, UNWANTED } from './codec.ts';
import type { Ledger } from './ports.ts';
import type { Verifier } from './verifier.ts';

/** What is cheap to know comes first: a block that nobody asked for is not decoded. */
export function makeGate(core: Core, verifier: () => Verifier, ledger: Ledger): Gate {
  return {
    proposal: (vote, bytes) => {
      const { statement, signer } = vote;
      if (statement.epoch !== core.options.epoch) return FOREIGN;
      if (!core.wantsVote(statement)) return UNWANTED;
      if (signer !== core.options.schedule.leaderOf(statement.view)) return UNWANTED;
      const known = core.proposalOf(statement.view);
      if (known === 'enough') return UNWANTED;
      if (known !== null && statementKey(known) === statementKey(statement)) return UNWANTED;
      if (!verifier().vote(vote)) return 'VOTE_SIGNATURE';
      // Two signatures prove the fault: the second block is not worth decoding.
      if (known !== null) return SECOND;
      const header = ledger.headerOf(bytes);
      if (header?.hash !== statement.blockHash) return 'PROPOSAL_HASH';
      return isProposable(header, statement) ? null : UNWANTED;
    },
    block: (bytes) => {
      const header = ledger.headerOf(bytes);
      return header !== null && core.wantsBlock(header.hash) ? null : UNWANTED;
    },
  };
}
