/*
 * A model of concurrent get-token runs for the model checker SPIN (https://spinroot.com). It covers
 * the two locks of a cache entry and the warm start's lock: cache/lock.go, cache/sealed/lock.go,
 * token/reuse.go, token/store.go and internal/warmstart/queue.go. `make model` checks it in the
 * configurations that the script beside it lists. Comments name the function that a step models.
 *
 * Properties
 *
 * One exchange   There is at most one if nothing goes wrong: assert(exchanges <= ...) says by how
 *                many each event can raise that. Two processes that took the same lock file never
 *                exchange at the same time, unless that file was removed in between. A lock holder
 *                is skipped, and a wait times out, only after somebody was stopped.
 * Bounded wait   Each process ends. It waits for others for at most BOUND ticks, not counting those
 *                in which it was stopped. SPIN itself looks for deadlocks (invalid end states), and
 *                with -DNP for endless loops.
 * No lost token  A process makes no exchange if a token was stored when it took the lock. A stored
 *                token is not replaced by an older one, nor by a failure without a token, if no
 *                process is late between its last look at the cache and its Put (see ATOMIC_SAVE).
 *                A process whose exchange succeeded ends with a token.
 *
 * Time
 *
 * A tick is the interval of heartbeats. Running processes do at once what they can do: a tick
 * passes only when all of them wait. Durations are scaled down. What matters is their order, as in
 * the code: 2*HEARTBEATS < WAIT_MIN and HEARTBEATS < EXCHANGE. By default a few exchanges in turn
 * also take less than WAIT_MIN. TIMEOUTS is for when they do not.
 *
 * Not modeled
 *
 * Disks that hang (storeTimeout, diskTimeout, the watchdog) or show a new modification time late;
 * refreshes, as the cache is cold and a new token stays fresh; permanent refusals; interactive
 * logins; the second try with a rotated federated token; links in a lock file's place; Windows.
 */

#ifndef N
#define N 3                     /* get-token runs with the same login */
#endif
#define HEARTBEATS 2            /* cache: heartbeats (there 5), the holder timeout in ticks */
#ifndef EXCHANGE
#define EXCHANGE 3              /* longest exchange */
#endif
#ifndef WAIT_MIN
#define WAIT_MIN 7              /* reuseTokenSource.lock: the wait is random between these two */
#endif
#define WAIT_MAX (WAIT_MIN + 1)
#ifdef WARM
#define WARM_WAIT 1             /* warmstart: maxWait */
#else
#define WARM_WAIT 0
#endif
#ifndef BOUND
#define BOUND (WARM_WAIT + WAIT_MAX)
#endif

/* How often these may happen, to any process and at any moment */
#ifndef KILLS
#define KILLS 0                 /* a process is killed */
#endif
#ifndef STOPS
#define STOPS 0                 /* a process is stopped (SIGSTOP) and maybe woken (SIGCONT) */
#endif
#ifndef VANISH
#define VANISH 0                /* the cache directory or a file in it is removed */
#endif

/*
 * Flags
 *
 * WARM            with the warm start
 * FULL            a Put may fail
 * FAILS           an exchange may fail
 * TIMEOUTS        the wait for a lock may time out
 * TOGETHER        all processes start in the first tick
 * ATOMIC_SAVE     nothing happens between a process's last look at the cache and its Put; without
 *                 it, SPIN must find how a token that was stored in between is replaced
 * STRICT          nothing excuses that a token is replaced by an older one or by a failure
 * FAULT_...       an error in the code, which SPIN must find
 */

#define me _pid

#if N == 2
#define ALL(P) (P(0) && P(1))
#define ANY(P) (P(0) || P(1))
#elif N == 3
#define ALL(P) (P(0) && P(1) && P(2))
#define ANY(P) (P(0) || P(1) || P(2))
#elif N == 4
#define ALL(P) (P(0) && P(1) && P(2) && P(3))
#define ANY(P) (P(0) || P(1) || P(2) || P(3))
#endif

/* status: what a process is */
#define NEW     0
#define RUNNING 1
#define STOPPED 2
#define ENDED   3
#define KILLED  4
byte status[N];

/* at: where a process waits */
#define BUSY      0 /* it does not */
#define LOCKWAIT  1 /* Dir.acquire */
#define WARMWAIT  2 /* Run.waitForWriter */
#define ASKING    3 /* Entra ID */
byte at[N];
byte left[N];     /* ticks until that times out */
byte waited[N];   /* ticks in which the process waited for others and was not stopped */

/* Lock files. A file is a number. A name leads to another number once its file was removed. */
#define LOCK  0 /* of the entry: <entry>.lock */
#define LOCK2 1 /* of the entry: <entry>.lock2 */
#define WLOCK 2 /* of the stored answer: <warm start>.lock */
#ifdef WARM
#define FILES (1 + 2*(VANISH+1) + (VANISH+1+N))
#else
#define FILES (1 + 2*(VANISH+1))
#endif
bool exists[3];
byte removed[3];
#define FILE(name) (1 + (name)*(VANISH+1) + removed[name])

byte holder[FILES]; /* who holds the lock: 1+process, or 1+N+process for an abandoned wait */
bool marked[FILES]; /* the file's modification time is holderFailedTime */
byte file[N];       /* the file whose lock a process waits for or holds; not WLOCK's, if held */
byte gaveUp[3*N];   /* by process and name: the file for whose lock a goroutine still waits */

/* Dir.holderSilent and Dir.startHeartbeat */
bool due[N];     /* the ticker has a tick */
bool touched[N]; /* the modification time is not that of the last tick */
byte missed[N];

/* The cache directory. Tokens have numbers in the order in which they were obtained; 0 is none. */
bool dir = true;
byte dirs;   /* how often it was removed */
byte entry;  /* the token in the entry */
byte answer; /* the token in the warm start's stored answer */

/* Counted for the properties */
byte exchanges, obtained;
byte kills, stops, wakes, vanished, failures, putFailures, timeouts;
byte stored;     /* the newest token that was stored and has not been removed */
bool mustSee[N]; /* stored was set when the process took the lock that it has */
bool alone[N];   /* the process has a lock whose file was not removed since it took it */

byte q; /* a loop's variable, 0 elsewhere */

/* setModTime: all waiters that watch the file notice. */
inline touch(f) {
	q = 0;
	do
	:: q < N ->
		if
		:: at[q] == LOCKWAIT && file[q] == f -> touched[q] = true
		:: else
		fi;
		q++
	:: else -> break
	od;
	q = 0
}

/* flock succeeds. */
inline take(f) { holder[f] = 1+me; mustSee[me] = stored > 0; alone[me] = true }

inline free(f) { holder[f] = 0; file[me] = 0; mustSee[me] = false; alone[me] = false }

inline stopWaiting() {
	at[me] = BUSY; missed[me] = 0; touched[me] = false; due[me] = false
}

/* The process gives up a wait, and a goroutine goes on with it. */
inline abandon(name) { gaveUp[3*me+name] = file[me]; file[me] = 0; stopWaiting() }

inline removeName(name) {
	if
	:: exists[name] ->
		q = 0;
		do
		:: q < N -> alone[q] = alone[q] && file[q] != FILE(name); q++
		:: else -> break
		od;
		q = 0;
		exists[name] = false; removed[name]++
	:: else
	fi
}

/* The stored token is gone, and nobody can be expected to see it. */
inline forget() {
	stored = 0;
	q = 0;
	do
	:: q < N -> mustSee[q] = false; q++
	:: else -> break
	od;
	q = 0
}

/* The process ends, and the kernel closes its files. */
inline leave(p) {
	q = 0;
	do
	:: q < FILES ->
		if
		:: holder[q] == 1+p || holder[q] == 1+N+p -> holder[q] = 0
		:: else
		fi;
		q++
	:: else -> break
	od;
	q = 0;
	at[p] = BUSY; left[p] = 0; waited[p] = 0; file[p] = 0;
	gaveUp[3*p] = 0; gaveUp[3*p+1] = 0; gaveUp[3*p+2] = 0;
	due[p] = false; touched[p] = false; missed[p] = 0; mustSee[p] = false; alone[p] = false
}

/* Another process makes an exchange, with a lock that should exclude this one's. */
#define CLASH(p) (p != me && at[p] == ASKING && alone[p])

/* The lock holder has been silent for too long. */
#ifdef FAULT_UNBOUNDED_WAIT
#define SILENT(p) false
#else
#define SILENT(p) (missed[p] == HEARTBEATS)
#endif

/* The context of the wait for the lock must have ended, and may have ended. */
#if defined(FAULT_UNBOUNDED_WAIT) || defined(FAULT_NO_DEADLINE)
#define EXPIRED(p)     false
#define MAY_EXPIRE(p)  false
#else
#define EXPIRED(p)     (left[p] == 0)
#define MAY_EXPIRE(p)  (left[p] <= WAIT_MAX-WAIT_MIN)
#endif

#ifdef FAULT_NO_WARM_TIMEOUT
#define WARM_EXPIRED(p) false
#else
#define WARM_EXPIRED(p) (left[p] == 0)
#endif

/* A get-token run. All runs are alike, so it does no harm that they start in order. */
active [N] proctype Run() provided (status[me] != STOPPED)
{
	byte token;     /* reuseTokenSource.token: the token at hand */
	byte lock;      /* Entry.Lock: suffix */
	byte record;    /* reuseTokenSource.save: the token in the record */
	bool failed;    /* the exchange failed */
	bool putFailed; /* Entry.putFailed */
	byte writer;    /* Run.lock */
	{
		atomic {
			me == 0 || status[me-1] != NEW ->
			status[me] = RUNNING;
#ifdef WARM
			if /* warmstart.start: Run.load */
			:: answer -> token = answer; goto exit
			:: else
			fi
		};
		atomic { /* Run.waitForWriter: sealed.OpenLock */
			if
			:: !dir -> goto normal
			:: else -> exists[WLOCK] = true; file[me] = FILE(WLOCK)
			fi
		};
		atomic { /* sealed.Lock(f, false) */
			if
			:: !holder[file[me]] ->
				writer = file[me]; holder[writer] = 1+me; file[me] = 0;
				goto reload
			:: else -> at[me] = WARMWAIT; left[me] = WARM_WAIT
			fi
		};
		if
		:: atomic { /* sealed.Lock(f, true) */
			!holder[file[me]] -> holder[file[me]] = 1+me; at[me] = BUSY; left[me] = 0
		   };
			atomic { holder[file[me]] = 0; file[me] = 0 } /* f.Close */
		:: atomic { WARM_EXPIRED(me) -> abandon(WLOCK); goto normal } /* withTimeout */
		fi;
reload:
		atomic { /* Run.load */
			if
			:: answer -> token = answer; goto release
			:: else
			fi
		};
normal:
		atomic {
#endif
			if /* reuseTokenSource.token: load */
			:: entry -> token = entry; goto print
			:: else
			fi;
			/* reuseTokenSource.lock, timeoutStore.lock: one deadline for both locks of the entry */
			left[me] = WAIT_MAX; lock = LOCK
		};

lockFile:	/* Entry.lockFile. maxAttempts is larger than VANISH, so it does not end the loop. */
		/* Dir.acquire: sealed.OpenLock. Dir.inDir repeats create and OpenLock until both succeed. */
		atomic { dir = true; exists[lock] = true; file[me] = FILE(lock) };
		atomic { /* sealed.Lock(f, false) */
			if
			:: !holder[file[me]] -> take(file[me]); goto locked
			:: else -> at[me] = LOCKWAIT
			fi
		};
		do /* select */
		:: atomic { /* <-locked */
			!holder[file[me]] ->
			stopWaiting(); take(file[me]);
			if
#ifndef FAULT_NO_MARK
			:: marked[file[me]] -> free(file[me]); left[me] = 0; goto refresh /* ErrHolderFailed */
			:: !marked[file[me]] -> goto locked
#else
			:: true -> goto locked
#endif
			fi
		   }
		:: atomic { /* holderSilent: <-ticker.C */
			due[me] ->
			due[me] = false;
			missed[me] = (touched[me] -> 0 : (missed[me] < HEARTBEATS -> missed[me]+1 : HEARTBEATS));
			touched[me] = false
		   }
		:: atomic { /* <-d.holderSilent: ErrHeld */
			SILENT(me) ->
			assert(stops > 0);
			abandon(lock);
			if /* Entry.Lock: the next suffix */
#ifndef FAULT_NO_SECOND_LOCK
			:: lock == LOCK -> lock = LOCK2; goto lockFile
#endif
			:: else -> left[me] = 0; goto refresh
			fi
		   }
		:: atomic { MAY_EXPIRE(me) -> abandon(lock); goto timedOut } /* <-ctx.Done */
		od;
locked:
		atomic { /* lockFile: ctx.Err, isFileAt, startHeartbeat */
			if
			:: MAY_EXPIRE(me) -> free(file[me]); goto timedOut
#ifndef FAULT_NO_FILE_CHECK
			:: !EXPIRED(me) && !(exists[lock] && file[me] == FILE(lock)) ->
				free(file[me]); goto lockFile
			:: !EXPIRED(me) && exists[lock] && file[me] == FILE(lock) ->
#else
			:: !EXPIRED(me) ->
#endif
				left[me] = 0; marked[file[me]] = false;
				touch(file[me])
			fi
		};
		goto refresh;
timedOut:
		atomic {
			left[me] = 0; timeouts++;
#ifndef TIMEOUTS
			assert(wakes > 0)
#endif
		};

refresh:	/* reuseTokenSource.refresh goes on whether it has the lock or not. */
#ifndef FAULT_NO_RECHECK
		atomic { /* reload */
			if
			:: entry -> token = entry; goto unlock
			:: else
			fi
		};
#endif
		atomic { /* exchange */
			assert(!mustSee[me]);
			exchanges++;
			assert(putFailures > 0 ||
				exchanges <= 1 + kills + stops + wakes + vanished + dirs + failures + timeouts);
			assert(putFailures > 0 || stops > 0 || timeouts > 0 || !alone[me] || !ANY(CLASH));
			at[me] = ASKING; left[me] = EXCHANGE; waited[me] = 0
		};
		do
		:: atomic { /* startHeartbeat: <-ticker.C */
			due[me] ->
			due[me] = false;
#ifndef FAULT_NO_HEARTBEAT
			touch(file[me])
#endif
		   }
		:: atomic { /* the answer */
			at[me] == ASKING ->
			stopWaiting(); left[me] = 0; mustSee[me] = false;
			if
			:: true -> obtained++; token = obtained; record = token
#ifdef FAILS
			:: true -> failures++; failed = true
#endif
			fi
		   };
			break
		od;
		atomic { /* refresh: reload, serve; saveToken: load */
			if
#ifdef FAILS
			:: failed && entry -> token = entry; goto unlock
#endif
#ifndef FAULT_NO_LOOK
			:: record && entry > record -> goto unlock
#endif
			:: else
			fi;
#ifndef ATOMIC_SAVE
		};
		atomic {
#endif
			/* reuseTokenSource.save, Entry.Put. Dir.inDir repeats create and replaceFile. */
			if
#ifdef FULL
			:: putFailures++; putFailed = true
#endif
			:: true ->
#ifdef STRICT
				assert(record >= entry);
#endif
				assert(record >= entry ||
					stops > 0 || vanished > 0 || timeouts > 0 || putFailures > 0);
				if
				:: !record -> forget()
				:: else
				fi;
				dir = true; entry = record;
				stored = (record > stored -> record : stored)
			fi
		};

unlock:
		atomic { /* Entry.lockFile: unlock */
			if
			:: file[me] ->
				if
				:: putFailed -> marked[file[me]] = true; touch(file[me])
				:: else
				fi;
				free(file[me])
			:: else
			fi;
			record = 0; putFailed = false; lock = 0
		};

print:
#ifdef WARM
		atomic { /* Run.Save */
			if
			:: token && !answer -> dir = true; answer = token
			:: true /* it failed, or an input has changed */
			fi
		};
release:	/* Run.ReleaseWaiters: removeLock removes the file of this name, whoever made it. */
		if
		:: atomic { writer -> removeName(WLOCK) };
			atomic { holder[writer] = 0; writer = 0 }
		:: else
		fi;
#endif
exit:
		atomic { assert(token || failed); leave(me); status[me] = ENDED }
	} unless { status[me] == KILLED };
	d_step {
		token = 0; lock = 0; record = 0; failed = false; putFailed = false; writer = 0
	}
}

/* Dir.acquire, Run.waitForWriter: an abandoned wait ends, and the lock is freed at once. */
#define ABANDONED(p, name) gaveUp[3*(p)+(name)]
#define GRABBED(p, name) \
	(ABANDONED(p, name) && holder[ABANDONED(p, name)] == 1+N+(p))
#define LATE(p) (GRABBED(p, LOCK) || GRABBED(p, LOCK2) || GRABBED(p, WLOCK))
#define END_OF_WAIT(p, name) \
	:: atomic { \
		status[p] == RUNNING && ABANDONED(p, name) && !holder[ABANDONED(p, name)] -> \
		holder[ABANDONED(p, name)] = 1+N+(p) \
	   } \
	:: atomic { \
		status[p] == RUNNING && GRABBED(p, name) -> \
		holder[ABANDONED(p, name)] = 0; ABANDONED(p, name) = 0 \
	   }

/* What happens to a process: signals, and the ends of waits that it gave up */
#define victim (_pid-N)
active [N] proctype Fate()
{
end:	do
	:: d_step {
		kills < KILLS && (status[victim] == RUNNING || status[victim] == STOPPED) ->
		kills++; leave(victim); status[victim] = KILLED
	   }
	:: atomic { stops < STOPS && status[victim] == RUNNING -> stops++; status[victim] = STOPPED }
	:: atomic { status[victim] == STOPPED -> wakes++; status[victim] = RUNNING }
	END_OF_WAIT(victim, LOCK)
	END_OF_WAIT(victim, LOCK2)
#ifdef WARM
	END_OF_WAIT(victim, WLOCK)
#endif
	od
}

/* The process has not started, is stopped or gone, or waits for what has not happened yet. */
#ifdef TOGETHER
#define ABSENT(p) (status[p] > RUNNING)
#else
#define ABSENT(p) (status[p] != RUNNING)
#endif
#define IDLE(p) (ABSENT(p) || !LATE(p) && ( \
	at[p] == LOCKWAIT && holder[file[p]] && !EXPIRED(p) && !SILENT(p) && !due[p] || \
	at[p] == WARMWAIT && holder[file[p]] && !WARM_EXPIRED(p) || \
	at[p] == ASKING && left[p] && !due[p]))

/* Some process for which time matters */
#define TIMED(p) (status[p] == RUNNING || status[p] == STOPPED && left[p])

/* Time, and others that remove files */
active proctype World()
{
	byte p;
end:	do
	:: d_step {
		ALL(IDLE) && ANY(TIMED) ->
		p = 0;
		do
		:: p < N ->
			if
			:: status[p] == RUNNING || status[p] == STOPPED ->
				left[p] = (left[p] -> left[p]-1 : 0);
				due[p] = file[p] && (at[p] == LOCKWAIT || at[p] == ASKING);
				waited[p] = waited[p] + (status[p] == RUNNING && at[p] != ASKING);
				assert(waited[p] <= BOUND)
			:: else
			fi;
			p++
		:: else -> break
		od;
		p = 0
	   }
#if VANISH > 0
	:: d_step {
		vanished < VANISH && dir ->
		vanished++; dir = false; dirs++; entry = 0; answer = 0;
		removeName(LOCK); removeName(LOCK2); removeName(WLOCK); forget()
	   }
	:: d_step { vanished < VANISH && entry -> vanished++; entry = 0; forget() }
	:: d_step { vanished < VANISH && answer -> vanished++; answer = 0 }
	:: d_step { vanished < VANISH && exists[LOCK] -> vanished++; removeName(LOCK) }
	:: d_step { vanished < VANISH && exists[LOCK2] -> vanished++; removeName(LOCK2) }
	:: d_step { vanished < VANISH && exists[WLOCK] -> vanished++; removeName(WLOCK) }
#endif
	od
}
