/** What a hostile peer could make a node do for nothing: each of these was once done. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Block, Message } from '#consensus/core/types.ts';
import { CatchUp } from '#consensus/engine/catchUp.ts';
import { Journal, journalBegin, type RecordLog } from '#consensus/engine/journal.ts';
import type { Ledger } from '#consensus/engine/ports.ts';
import { Verifier } from '#consensus/engine/verifier.ts';
import { mustVerify, withoutWaste } from '#consensus/engine/waste.ts';
import { concatBytes } from '#src/lib/bytes.ts';
import { silentLog } from '#src/lib/log.ts';
import { encodeCertificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import type { Epoch, Height, View } from '#src/types/units.ts';
import { VoteKind } from '#src/types/vote.ts';
import { AppendLog } from '#storage/appendLog.ts';
import { genesis } from '../simulation/ledger.ts';
import { Bench } from '../simulation/schedules/bench.ts';
import { makeBlock, networkId, Rig, statementOf } from './rig.ts';

const { Notarize, Nullify, Finalize } = VoteKind;

describe('messages that could tell nothing', () => {
  /** In view 3; 1 is final, 2 was given up. */
  function underWay() {
    const bench = new Bench().start();
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.propose(a.block);
    bench.certify(Finalize, 1, a.block);
    bench.certify(Nullify, 2);
    const of = (kind: VoteKind, view: number) =>
      bench.certificateOf(bench.statement(kind, view, kind === Nullify ? null : a.block));
    return { bench, of };
  }

  it('certificates of final views, and those that are known, are not verified', () => {
    const { bench, of } = underWay();
    const all = [of(Notarize, 1), of(Finalize, 1), of(Nullify, 2), of(Nullify, 3)];
    const left = withoutWaste({ t: 'certificates', certificates: all }, 'v1', bench.core);
    assert.deepEqual(left, { t: 'certificates', certificates: all.slice(3) });
    for (const certificate of all.slice(0, 3)) {
      assert.equal(withoutWaste({ t: 'certificate', certificate }, 'v1', bench.core), null);
    }
    const none: Message = { t: 'certificates', certificates: all.slice(0, 3) };
    assert.equal(withoutWaste(none, 'v1', bench.core), null);
  });

  it('of a status that shows nothing new only the view is read', () => {
    const { bench, of } = underWay();
    const status = (view: number): Message => ({
      t: 'status',
      height: 1n as Height,
      certificate: of(Finalize, view),
    });
    assert.equal(mustVerify(status(1), bench.core), false);
    assert.equal(mustVerify(status(3), bench.core), true);
  });

  it('recollections that were not asked for, or are about others, are dropped', () => {
    const bench = new Bench([], { record: 'proven' });
    const { epoch } = bench.options;
    const votes = [bench.me, 1, 2].map((at) => bench.vote(at, bench.statement(Nullify, 9)));
    const message: Message = { t: 'recalled', epoch, votes };
    assert.equal(withoutWaste(message, bench.peer(1), bench.core), null, 'not asked for');
    const asking = new Bench();
    asking.feed({ t: 'tick' });
    assert.equal(withoutWaste(message, 'stranger', asking.core), null, 'not of a validator');
    const left = withoutWaste(message, asking.peer(1), asking.core);
    assert.deepEqual(left, { ...message, votes: votes.slice(0, 1) });
  });

  it('whatever a leader or a stranger sends for one view, one block of it is decoded', async () => {
    for (const same of [false, true]) {
      const rig = new Rig({ leadsFirst: false });
      rig.start();
      const leader = rig.schedule.leaderOf(1 as View);
      let decoded = 0;
      const { decode } = rig;
      const counted: Ledger['decode'] = (bytes) => {
        decoded++;
        return decode(bytes);
      };
      rig.decode = counted;
      for (let n = 0; n < 50; n++) {
        const content = same ? 'x' : `c${n}`;
        const block = makeBlock({ view: 1 as View, proposer: leader, content });
        rig.receive(rig.proposalOf(block), same ? 'stranger' : rig.peers[0]);
      }
      await rig.engine.stop();
      // Here a header is read by decoding the whole: once for it, once for the block.
      assert.equal(decoded, 2);
    }
  });

  it('a proposal that the core would not keep is not decoded', async () => {
    const rig = new Rig({ leadsFirst: false });
    rig.start();
    const leader = rig.schedule.leaderOf(1 as View);
    const block = makeBlock({ view: 1 as View, proposer: leader });
    const old = makeBlock({ view: 7 as View, proposer: leader });
    let decoded = 0;
    const { decode } = rig;
    rig.decode = (bytes) => {
      decoded++;
      return decode(bytes);
    };
    const parentView = 0 as View;
    const rows = [
      { view: 2 as View, block, vote: statementOf(Notarize, block) },
      { view: 1 as View, block, vote: statementOf(Finalize, block) },
      { view: 1 as View, block: old, vote: { ...statementOf(Notarize, old), view: 1 as View } },
    ];
    for (const { view, block: sent, vote } of rows) {
      const signed = rig.sign(leader, vote);
      const proposal = { view, parentView, block: sent, vote: signed, justify: [] };
      rig.receive({ t: 'proposal', proposal });
    }
    await rig.engine.stop();
    // Here a header is read by decoding the whole: of the last one, whose vote is in order.
    assert.equal(decoded, 1);
  });

  it('a block that is not the one of the vote costs its sender the connection', async () => {
    const rig = new Rig({ leadsFirst: false });
    rig.start();
    const leader = rig.schedule.leaderOf(1 as View);
    const block = makeBlock({ view: 1 as View, proposer: leader });
    const other = makeBlock({ view: 1 as View, proposer: leader, content: 'other' });
    const vote = rig.sign(leader, statementOf(Notarize, block));
    const { view, parentView } = other;
    rig.receive({ t: 'proposal', proposal: { view, parentView, block: other, vote, justify: [] } });
    await rig.engine.stop();
    assert.deepEqual(
      rig.penalties.map(({ reason }) => reason),
      ['PROPOSAL_HASH'],
    );
  });
});

describe('answers to catch-up', () => {
  function catchUpOver(rig: Rig, answer: () => Uint8Array, over: Partial<Ledger> = {}) {
    const penalties: string[] = [];
    let decoded = 0;
    let asked = 0;
    const { ledger } = rig;
    const { set } = rig;
    const catchUp = new CatchUp({
      ledger: {
        ...ledger,
        floor: ledger.floor,
        electorate: { epoch: 0 as Epoch, set },
        decode: (bytes) => {
          decoded++;
          return ledger.decode(bytes);
        },
        ...over,
      },
      net: {
        ...rig.net,
        connected: () => ['peer'],
        request: async () => (asked++ === 0 ? answer() : null),
        penalize: (_, penalty, why) => void penalties.push(`${penalty} ${why}`),
      },
      judge: (certificate) =>
        new Verifier(set, 0 as Epoch, networkId).judge({ t: 'certificate', certificate }),
      log: silentLog,
      importRange: async () => true,
    });
    return { catchUp, penalties, decoded: () => decoded };
  }

  function chainOf(count: number): Block[] {
    const blocks: Block[] = [];
    for (let at = 0; at < count; at++) {
      const parent = blocks.at(-1);
      const height = BigInt(at + 1) as Height;
      const link = parent === undefined ? {} : { parentHash: parent.hash };
      blocks.push(makeBlock({ view: (at + 1) as View, proposer: 0, height, ...link }));
    }
    return blocks;
  }

  it('are followed by their headers before a body is decoded', async () => {
    const rig = new Rig({ leadsFirst: false });
    const blocks = chainOf(8);
    const last = blocks.at(-1) ?? assert.fail('a block');
    const elsewhere = { ...statementOf(Finalize, last), blockHash: `0x${'11'.repeat(32)}` as Hash };
    const genuine = rig.certificate(elsewhere, [0, 1, 2]);
    const bodies = blocks.map((block) => rig.ledger.encode(block));
    const answer = encodeRlp([encodeCertificate(genuine), bodies]);
    const { catchUp, penalties, decoded } = catchUpOver(rig, () => answer);
    await catchUp.run({ epoch: Number.MAX_SAFE_INTEGER as Epoch, view: 1 as View });
    assert.equal(decoded(), 0);
    assert.deepEqual(penalties, ['disconnect RANGE_CERTIFICATE_HASH']);
    await rig.engine.stop();
  });

  it('that were honest when asked for blame nobody after the epoch has changed', async () => {
    const rig = new Rig({ leadsFirst: false });
    const block = makeBlock({ view: 1 as View, proposer: 0, epochEnd: true });
    const certificate = rig.certificate(statementOf(Finalize, block), [0, 1, 2]);
    const answer = encodeRlp([encodeCertificate(certificate), [rig.ledger.encode(block)]]);
    let epoch = 0;
    const over = {
      get electorate() {
        return { epoch: epoch as Epoch, set: rig.set };
      },
    };
    const { catchUp, penalties } = catchUpOver(
      rig,
      () => {
        epoch = 1;
        return answer;
      },
      Object.defineProperties({}, Object.getOwnPropertyDescriptors(over)),
    );
    await catchUp.run({ epoch: 0 as Epoch, view: 1 as View });
    assert.deepEqual(penalties, []);
    await rig.engine.stop();
  });
});

describe('a journal at a start', () => {
  it('decodes no block of a view that is final', async () => {
    const rig = new Rig({ leadsFirst: false });
    const decoded: number[] = [];
    const blocks = {
      ...rig.ledger,
      decode: (bytes: Uint8Array) => {
        const block = rig.ledger.decode(bytes);
        if (block.ok) decoded.push(block.value.view);
        return block;
      },
    };
    const records = [5, 6, 7].map((view) => {
      const block = makeBlock({ view: view as View, proposer: 0 });
      const statement = { ...statementOf(VoteKind.Notarize, block), view: view as View };
      const payloads: Uint8Array[] = [];
      const log = { append: (payload: Uint8Array) => payloads.push(payload) };
      const vote = rig.sign(rig.me, statement);
      new Journal(log as unknown as RecordLog, blocks).append({ t: 'vote', vote, block });
      return { seq: view, payload: payloads[0] ?? new Uint8Array(0) };
    });
    const journal = new Journal({} as RecordLog, blocks);
    const read = journal.read(records, { epoch: 0 as Epoch, view: 6 as View });
    assert.deepEqual(decoded, [7]);
    assert.deepEqual(
      read.map((record) => record.t === 'vote' && record.vote.statement.view),
      [7],
    );
    assert.equal(journal.read(records).length, 3, 'all, where nobody says from where on');
    await rig.engine.stop();
  });
});

describe('a journal whose beginning was cut off', () => {
  const about = (rig: Rig, seq: number, epoch: number, view: number) => {
    const statement = {
      ...statementOf(VoteKind.Notarize, makeBlock({ view: view as View, proposer: 0 })),
      epoch: epoch as Epoch,
      view: view as View,
    };
    const certificate = rig.certificate(statement, [0, 1, 2]);
    const payload = concatBytes(Uint8Array.of(2), encodeCertificate(certificate));
    return { seq, payload };
  };
  const rows = [
    { when: 'the chain knew the part that is gone', first: 40, chainSeq: 39, wanted: [0, 0, 0] },
    { when: 'the chain was put back', first: 40, chainSeq: 38, wanted: ['never', 8, 0] },
    { when: 'the chain was made anew', first: 40, chainSeq: 0, wanted: ['never', 8, 0] },
    { when: 'nothing was ever cut', first: 1, chainSeq: 0, wanted: [0, 0, 0] },
  ];
  for (const { when, first, chainSeq, wanted } of rows) {
    it(`says from which view on no vote contradicts a forgotten one: ${when}`, async () => {
      const rig = new Rig({ leadsFirst: false });
      const journal = new Journal({} as RecordLog, rig.ledger);
      journal.read([about(rig, first, 5, 7), about(rig, first + 1, 5, 9)]);
      const found = [4, 5, 6].map((epoch) => journal.signFrom(epoch as Epoch, chainSeq));
      const never = Number.MAX_SAFE_INTEGER;
      assert.deepEqual(
        found,
        wanted.map((one) => (one === 'never' ? never : one)),
      );
      await rig.engine.stop();
    });
  }
});

describe('a journal that was lost', () => {
  const inDir = async (act: (dir: string) => Promise<void>) => {
    const dir = mkdtempSync(join(tmpdir(), 'mpbp-journal-'));
    try {
      await act(dir);
    } finally {
      rmSync(dir, { recursive: true });
    }
  };
  const open = (dir: string) => {
    const { log, records } = AppendLog.open(dir);
    const journal = new Journal(log, new Rig({ leadsFirst: false }).ledger);
    journal.read(records);
    return { journal, records };
  };

  it('says so from the moment at which it begins again, whatever happens then', () =>
    inDir(async (dir) => {
      const { journal, records } = open(dir);
      assert.deepEqual(records, [], 'a log without a record is a lost one');
      journal.beginAfterLoss(500, false);
      // No sync, no close: as if the power were cut here.
      const again = open(dir);
      assert.equal(again.journal.abstention, 'until recalled');
      assert.equal(again.journal.lastSeq, 501);
      await again.journal.abstain(3 as Epoch);
      assert.equal(open(dir).journal.abstention, 3);
    }));

  it('keeps its votes where the operator only ends an abstention', () =>
    inDir(async (dir) => {
      const { journal } = open(dir);
      journal.beginAfterLoss(5, true);
      await journal.abstain(3 as Epoch);
      journal.signAgain();
      await journal.sync();
      const again = open(dir);
      assert.equal(again.journal.abstention, null);
      assert.equal(again.records.length, 3);
    }));

  it('is not cut down to nothing while it changes its file', () =>
    inDir(async (dir) => {
      const { log } = AppendLog.open(dir);
      for (let i = 0; i < 3; i++) log.append(new Uint8Array(6 * 1024 * 1024));
      await log.sync();
      const seq = log.append(new Uint8Array(9));
      const syncing = log.sync();
      log.prune(seq);
      // As if the power were cut here: what is on disk is read by another.
      assert.ok(AppendLog.open(dir).records.length >= 1);
      await syncing;
      log.prune(seq);
      await log.close();
      assert.equal(AppendLog.open(dir).records.length, 1);
    }));

  it('signs again where the operator answers for it', () =>
    inDir(async (dir) => {
      const { journal } = open(dir);
      journal.beginAfterLoss(500, false);
      open(dir).journal.beginAfterLoss(500, true);
      const again = open(dir);
      assert.equal(again.journal.abstention, null);
      assert.deepEqual(
        again.records.map(({ payload }) => payload),
        [journalBegin],
      );
    }));
});
