/** Risks that a running node shows from outside: to anybody, and in what it says of its network. */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Client } from '../client.ts';
import { type Finding, note, risk } from './finding.ts';
import { checkStake } from './stakeChecks.ts';

type Validators = { validators: { memberId: string; stake: string; feeRecipient: string }[] };
type Status = { validator: string | null; peers: unknown[] };
type Block = { number: string; timestamp: string; miner: string };

const requestTimeoutMs = 5_000;
const skewSecondsMax = 2;
const blockWaitMs = 15_000;
const pollMs = 100;
/** What only an operator may call, as clients of other makes name it. */
const PRIVATE_METHODS = [
  'admin_nodeInfo',
  'admin_peers',
  'personal_listAccounts',
  'miner_stop',
  'debug_traceCall',
];

/** What the network looks like to this node. */
export async function checkNetwork(client: Client): Promise<Finding[]> {
  const { validators } = await client.call<Validators>('mpbp_getValidators');
  const status = await client.call<Status>('mpbp_nodeStatus');
  const shares = validators.map(({ memberId, stake }) => ({ memberId, stake: BigInt(stake) }));
  const found = checkStake(shares);
  if (validators.length > 1 && status.peers.length === 0) {
    found.push(
      risk('PEERS_NONE', {
        what: 'the node has no peers',
        why: 'it knows nothing of the network, and the network nothing of it',
        fix: 'p2p.listen, firewalls, and the addresses of the validators: mpbp peers',
      }),
    );
  }
  const own =
    status.validator === null ? null : validators[Number(BigInt(status.validator))]?.feeRecipient;
  const others = validators.some(({ feeRecipient }) => feeRecipient !== own);
  return [...found, ...(others ? await checkClock(client, own ?? null) : [])];
}

/** The next block of another validator: its time is that of its proposer's clock. */
async function checkClock(client: Client, own: string | null): Promise<Finding[]> {
  const latest = () => client.call<Block>('eth_getBlockByNumber', 'latest', false);
  let { number } = await latest();
  const deadline = performance.now() + blockWaitMs;
  while (performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    const block = await latest();
    if (block.number === number) continue;
    number = block.number;
    if (block.miner === own) continue;
    // Whole seconds, rounded down: half of one is added on average.
    const ahead = Date.now() / 1_000 - Number(BigInt(block.timestamp)) - 0.5;
    return skewFinding(ahead, `the validator of block ${BigInt(number)}`);
  }
  return [
    note('CLOCK_UNKNOWN', {
      what: `no block of another validator within ${blockWaitMs / 1_000} s`,
      why: 'without one this clock was compared with nobody',
      fix: 'chronyc tracking, or timedatectl',
    }),
  ];
}

function skewFinding(ahead: number, whom: string): Finding[] {
  if (Math.abs(ahead) <= skewSecondsMax) return [];
  const way = ahead > 0 ? 'ahead of' : 'behind';
  return [
    risk('CLOCK_SKEW', {
      what: `this clock is ${Math.abs(ahead).toFixed(1)} s ${way} ${whom}`,
      why: 'blocks get wrong times, tokens are refused, certificates end early',
      fix: 'run chrony or systemd-timesyncd on both machines',
    }),
  ];
}

/** What anybody can do at its address. */
export async function checkDoor(url: string): Promise<Finding[]> {
  const target = new URL(url);
  const found: Finding[] = [];
  const isLocal = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(target.hostname);
  if (target.protocol === 'http:' && !isLocal) {
    found.push(
      risk('RPC_PLAIN', {
        what: `${url} is not encrypted`,
        why: 'keys and payments can be read and answers be forged on the way',
        fix: 'rpc.tlsCertificate and rpc.tlsKey, or a proxy with TLS',
      }),
    );
  }
  const call = (method: string) => JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: [] });
  const plain = await ask(target, call('eth_chainId'), {});
  if (plain.status === 0) {
    throw new UserError(EXIT.unavailable, `${url} does not answer any more: nothing was checked`);
  }
  if (plain.date !== null) {
    found.push(...skewFinding((Date.now() - plain.date) / 1_000 - 0.5, target.host));
  }
  const tricked = await ask(target, call('eth_chainId'), { host: 'doctor.invalid' });
  if (tricked.status === 200) {
    found.push(
      risk('HOSTS_ANY', {
        what: 'a request for another Host is answered',
        why: 'a page in a browser reaches the node through a name of its own (DNS rebinding)',
        fix: 'list the names in rpc.hosts',
      }),
    );
  }
  const origin = 'https://doctor.invalid';
  const paged = await ask(target, call('eth_chainId'), { origin });
  if (paged.status === 200 && [origin, '*'].includes(paged.allowedOrigin ?? '')) {
    found.push(
      risk('ORIGINS_ANY', {
        what: 'a page of any origin is answered',
        why: 'every page in a browser may read and send through this node',
        fix: 'list the pages in rpc.origins',
      }),
    );
  }
  for (const method of PRIVATE_METHODS) {
    const { text } = await ask(target, call(method), {});
    if (/"code":-32601\b/.test(text) || !/"(result|error)":/.test(text)) continue;
    found.push(
      risk('METHOD_PRIVATE', {
        what: `${method} is answered`,
        why: 'it is for operators, and this is the public door',
        fix: 'close it at the node or its proxy',
      }),
    );
  }
  const metrics = await ask(new URL('/metrics', target), null, {});
  if (metrics.status === 200) {
    found.push(
      risk('METRICS_PUBLIC', {
        what: '/metrics is answered',
        why: 'it tells strangers how busy and how healthy the node is',
        fix: 'operator.port is for that, and no proxy should lead to it',
      }),
    );
  }
  return found;
}

type Answer = { status: number; text: string; allowedOrigin: string | null; date: number | null };

/** By the platform's own client, because `fetch` sends neither a Host nor an Origin of ours. */
function ask(url: URL, body: string | null, headers: Record<string, string>): Promise<Answer> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  const method = body === null ? 'GET' : 'POST';
  const nothing: Answer = { status: 0, text: '', allowedOrigin: null, date: null };
  return new Promise((resolve) => {
    const all = { 'content-type': 'application/json', ...headers };
    const sent = request(url, { method, headers: all, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (text.length < 65_536) text += chunk;
      });
      response.on('error', () => resolve(nothing));
      response.on('end', () => {
        const allowed = response.headers['access-control-allow-origin'] ?? null;
        const date = Date.parse(response.headers.date ?? '');
        resolve({
          ...{ status: response.statusCode ?? 0, text, allowedOrigin: allowed },
          date: Number.isNaN(date) ? null : date,
        });
      });
    });
    sent.setTimeout(requestTimeoutMs, () => sent.destroy());
    sent.on('error', () => resolve(nothing));
    sent.end(body ?? undefined);
  });
}
