//! Where things are: model cards, and the ONNX Runtime library. The environment is read here alone, but for the credentials
//! that `reading.rs` passes on, and a test's switch in `pipeline.rs`.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tapline_onnx::{Card, Device, DeviceRequest, Error, Runtime, read_cards};

/// Turns off what ONNX Runtime tells its makers. Its official builds for Linux do so from 1.29 on, with the names and digests of models
/// and a number kept in the user's cache folder for the machine, unless this is set before the library is loaded.
#[allow(unsafe_code)]
pub fn forbid_telemetry() {
    // SAFETY: the first thing the program does, while it has one thread.
    unsafe { env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// The Tapline checkout: above the program where it was built, else the working folder or one above it. Other folders
/// with the same names are never looked into: what is loaded from there is run.
fn checkout() -> Option<PathBuf> {
    let is_checkout =
        |folder: &&Path| folder.join("crates/tapline/Cargo.toml").is_file() && folder.join("models").is_dir();
    starts().iter().find_map(|start| start.ancestors().find(is_checkout).map(Path::to_owned))
}

/// Around what a checkout is looked for: the program, then the working folder.
fn starts() -> Vec<PathBuf> {
    let program = env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    program.into_iter().chain(env::current_dir().ok()).collect()
}

/// That there is no checkout, with the places where it was looked for.
fn no_checkout() -> String {
    let places: Vec<String> = starts().iter().map(|start| start.display().to_string()).collect();
    format!("there is no checkout of Tapline around {}", places.join(" or "))
}

/// The folder for what may be lost: `tapline` in `XDG_CACHE_HOME`, else in `.cache` at home; none where neither is known.
pub fn cache() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(folder.join("tapline"))
}

/// The model cards: those in the folder `TAPLINE_MODELS`, else the checkout's.
pub fn cards() -> anyhow::Result<Vec<Card>> {
    if let Some(folder) = env::var_os("TAPLINE_MODELS") {
        return read_cards(Path::new(&folder)).context("TAPLINE_MODELS");
    }
    match checkout() {
        Some(checkout) => Ok(read_cards(&checkout.join("models"))?),
        None => Ok(Vec::new()),
    }
}

/// Where no cards were found, and what to do.
pub fn no_cards() -> String {
    let place = match (env::var_os("TAPLINE_MODELS"), checkout()) {
        (Some(folder), _) => format!("TAPLINE_MODELS names {}, which holds none", Path::new(&folder).display()),
        (None, Some(checkout)) => format!("{} holds none", checkout.join("models").display()),
        (None, None) => no_checkout(),
    };
    format!("{place}; set TAPLINE_MODELS to a folder of cards (*.toml) with the .onnx files beside them")
}

/// The card a name stands for.
pub fn card_named(name: &str) -> anyhow::Result<Card> {
    let cards = cards()?;
    let names: Vec<String> = cards.iter().map(|c| c.name.clone()).collect();
    match cards.into_iter().find(|card| card.name == name) {
        Some(card) => Ok(card),
        None if names.is_empty() => {
            bail!("{name:?} is neither a file nor a model card, for no model cards were found: {}", no_cards())
        }
        None => bail!("{name:?} is neither a file nor a model card; the cards are {}", names.join(", ")),
    }
}

/// Loads ONNX Runtime: `ORT_DYLIB_PATH`, else the checkout's environment, else the system's.
pub fn runtime(device: DeviceRequest) -> anyhow::Result<Runtime> {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|p| !p.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!(
                "ORT_DYLIB_PATH names {}, which is not a file; unset it or point it to libonnxruntime.so",
                path.display()
            );
        }
        return Ok(Runtime::load(&[path])?);
    }
    let wants_gpu = device != DeviceRequest::Only(Device::Cpu);
    let environments: &[&str] = if wants_gpu { &[".venv-cuda", ".venv"] } else { &[".venv", ".venv-cuda"] };
    let checkout = checkout();
    let mut candidates: Vec<PathBuf> = environments
        .iter()
        .flat_map(|name| checkout.iter().flat_map(|checkout| libraries(&checkout.join(name))).collect::<Vec<_>>())
        .collect();
    candidates.push(PathBuf::from("libonnxruntime.so"));
    candidates.push(PathBuf::from("libonnxruntime.so.1"));
    Runtime::load(&candidates).map_err(|error| match error {
        Error::NoRuntime { .. } => anyhow::Error::from(error).context(no_environment(checkout.as_deref())),
        other => other.into(),
    })
}

/// Why no environment has a runtime library.
fn no_environment(checkout: Option<&Path>) -> String {
    match checkout {
        Some(checkout) => format!("neither .venv nor .venv-cuda in {} holds ONNX Runtime", checkout.display()),
        None => no_checkout(),
    }
}

/// The runtime libraries in a Python environment.
fn libraries(environment: &Path) -> Vec<PathBuf> {
    let entries = |folder: PathBuf| {
        let mut paths: Vec<PathBuf> =
            folder.read_dir().map(|entries| entries.flatten().map(|e| e.path()).collect()).unwrap_or_default();
        paths.sort();
        paths
    };
    let is_library =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so"));
    entries(environment.join("lib"))
        .into_iter()
        .flat_map(|python| entries(python.join("site-packages/onnxruntime/capi")))
        .filter(is_library)
        .collect()
}
