//! SQLite: one table WITHOUT ROWID, in WAL mode, one connection per running thread.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};

use super::ALL;
use crate::data::digest;
use crate::peer::{Durability, Medium, Pair, Peer, Store, Visit};

const FAILED: &str = "SQLite failed";

pub fn peers() -> Vec<Peer> {
    let peer = |settings, durability, open| Peer {
        name: "SQLite",
        version: rusqlite::version().to_owned(),
        settings,
        medium: Medium::Disk,
        durability,
        can: ALL,
        open,
    };
    vec![
        peer(
            "WITHOUT ROWID, WAL, synchronous = OFF (survives the process), mmap_size = 1 GiB, \
             cache_size = 256 MiB",
            Durability::ProcessCrash,
            |path| Sqlite::open(path, "OFF"),
        ),
        peer(
            "WITHOUT ROWID, WAL, synchronous = FULL, mmap_size = 1 GiB, cache_size = 256 MiB",
            Durability::PowerCut,
            |path| Sqlite::open(path, "FULL"),
        ),
    ]
}

struct Sqlite {
    path: PathBuf,
    synchronous: &'static str,
    /// Connections that no thread is using.
    idle: Mutex<Vec<Connection>>,
}

impl Sqlite {
    fn open(path: &Path, synchronous: &'static str) -> Result<Box<dyn Store>> {
        let store = Sqlite { path: path.join("sqlite"), synchronous, idle: Mutex::default() };
        let first = store.connect()?;
        first.execute_batch(
            "CREATE TABLE IF NOT EXISTS a (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID",
        )?;
        store.idle.lock().push(first);
        Ok(Box::new(store))
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(Duration::from_secs(60))?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {}; PRAGMA mmap_size = 1073741824; \
             PRAGMA cache_size = -262144",
            self.synchronous
        ))?;
        Ok(connection)
    }

    fn with<R>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<R>) -> R {
        let idle = self.idle.lock().pop();
        let mut connection = idle.unwrap_or_else(|| self.connect().expect(FAILED));
        let result = work(&mut connection).expect(FAILED);
        self.idle.lock().push(connection);
        result
    }

    fn execute(&self, text: &str, values: impl rusqlite::Params) -> usize {
        self.with(|connection| connection.prepare_cached(text)?.execute(values))
    }

    /// Calls `visit` for each row of a query, until it returns false.
    fn query(
        &self,
        text: &str,
        values: impl rusqlite::Params,
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(text)?;
            let mut rows = statement.query(values)?;
            while let Some(row) = rows.next()? {
                if !visit(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?) {
                    break;
                }
            }
            Ok(())
        });
    }
}

const PUT: &str = "INSERT INTO a VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v";

impl Store for Sqlite {
    fn get(&self, key: &[u8]) -> Option<u64> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT v FROM a WHERE k = ?")?;
            statement.query_row([key], |row| Ok(digest(row.get_ref(0)?.as_blob()?))).optional()
        })
    }

    fn exists(&self, key: &[u8]) -> bool {
        self.with(|connection| {
            connection.prepare_cached("SELECT 1 FROM a WHERE k = ?")?.exists([key])
        })
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.execute(PUT, [key, value]);
    }

    fn del(&self, key: &[u8]) {
        self.execute("DELETE FROM a WHERE k = ?", [key]);
    }

    fn iterate(&self, prefix: &[u8], visit: Visit<'_>) {
        self.query("SELECT k, v FROM a WHERE k >= ? ORDER BY k", [prefix], |key, value| {
            let inside = key.starts_with(prefix);
            if inside {
                visit(key, value);
            }
            inside
        });
    }

    fn scan(&self, start: &[u8], count: usize, backward: bool, visit: Visit<'_>) {
        let text = if backward {
            "SELECT k, v FROM a WHERE k <= ? ORDER BY k DESC LIMIT ?"
        } else {
            "SELECT k, v FROM a WHERE k >= ? ORDER BY k LIMIT ?"
        };
        self.query(text, params![start, count as i64], |key, value| {
            visit(key, value);
            true
        });
    }

    fn set_nx(&self, key: &[u8], value: &[u8]) -> bool {
        self.execute("INSERT INTO a VALUES (?, ?) ON CONFLICT (k) DO NOTHING", [key, value]) > 0
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> bool {
        self.execute("UPDATE a SET v = ? WHERE k = ? AND v = ?", [value, key, expected]) > 0
    }

    fn set_batch(&self, pairs: &[Pair<'_>]) {
        self.with(|connection| {
            let all = connection.transaction()?;
            {
                let mut put = all.prepare_cached(PUT)?;
                for pair in pairs {
                    put.execute([pair.key, pair.value])?;
                }
            }
            all.commit()
        });
    }
}
