/**
 * What the network needs of a transport: links to peers whose identity is proven, and byte streams
 * on them. `libp2p.ts` is the real one; nothing else here knows which it is.
 */
export type Direction = 'inbound' | 'outbound';

export type StreamEvents = {
  /** Bytes as they came; the view is valid only during the call. */
  onBytes(chunk: Uint8Array): void;
  /** More may be written after a `write` that said false. */
  onDrain(): void;
  /** The other side will write no more. */
  onEnd(): void;
  /** Both directions are over. Called once, also after our own `reset`. */
  onClose(reason: string): void;
};

/** Never throws: a stream that died says so through `onClose`. */
export type ByteStream = {
  /** Called once, before anything else. */
  listen(events: StreamEvents): void;
  /** Takes the bytes without copying them. False: taken, but hold back until `onDrain`. */
  write(bytes: Uint8Array): boolean;
  /** Lets the sender feel us: it can send one receive window more, and no further. */
  pause(): void;
  resume(): void;
  /** We will write no more. */
  end(): void;
  reset(reason: string): void;
};

export type Link = {
  readonly id: string;
  readonly peerId: string;
  readonly address: string;
  readonly direction: Direction;
  /** Monotonic milliseconds. */
  readonly openedAtMs: number;
  /** Null where it could not be opened in time. */
  openStream(protocol: string, timeoutMs: number): Promise<ByteStream | null>;
  /** Lets written bytes leave first. */
  close(): void;
  abort(reason: string): void;
};

export type CarrierEvents = {
  /** Asked when the identity is proven, before any stream. */
  admits(peerId: string): boolean;
  onLink(link: Link): void;
  onLinkClosed(link: Link): void;
  onStream(link: Link, protocol: string, stream: ByteStream): void;
};

export type DialRefusal = { code: 'DIAL_FAILED'; reason: string };

export type Carrier = {
  readonly peerId: string;
  /** Multiaddresses we listen on, with the peer id. */
  addresses(): string[];
  /** A link that comes up is told through `onLink` too. Null: connected; else why not. */
  dial(peerId: string, addresses: readonly string[]): Promise<DialRefusal | null>;
  stop(): Promise<void>;
};
