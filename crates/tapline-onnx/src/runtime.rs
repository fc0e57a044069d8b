//! Finds and loads the ONNX Runtime library, once for the process, and says which devices it can use.
//!
//! The library comes as a shared object (`ort`'s `load-dynamic`), so that one binary serves CPU and CUDA machines;
//! where to look is the caller's decision, since the binary alone reads the environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ort::ep::{CUDA, ExecutionProvider};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::Error;

/// A loaded ONNX Runtime.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// The library's file.
    pub library: PathBuf,
    /// The library's own version, such as `1.32.0`.
    pub version: String,
    environment: ort::environment::Environment,
}

/// A device to run on, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceRequest {
    /// A CUDA GPU where one can be used, else the processor; says which and why.
    Auto,
    /// This one or an error.
    Only(Device),
}

/// A device to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    Cpu,
    /// The CUDA GPU with this number.
    Cuda(u32),
}

/// The device that will run, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The device.
    pub device: Device,
    /// The reason, as the rest of a sentence.
    pub why: String,
}

impl Runtime {
    /// Loads the first of `candidates` that is a usable library; bare file names are left to the system's loader.
    ///
    /// ONNX Runtime's official builds for Linux, from 1.29 on, send telemetry unless `ORT_DISABLE_TELEMETRY` is 1 in the environment
    /// before this is called; Tapline's program sets it.
    ///
    /// # Errors
    /// [`Error::BadRuntime`] for the first that exists, where none is usable; [`Error::NoRuntime`] where none exists.
    pub fn load(candidates: &[PathBuf]) -> Result<Self, Error> {
        let mut fault = None;
        for candidate in candidates {
            let bare = candidate.components().count() == 1;
            if bare || candidate.is_file() {
                match Self::load_one(candidate) {
                    Ok(runtime) => return Ok(runtime),
                    Err(error) if !bare => fault = fault.or(Some(error)),
                    Err(_) => {}
                }
            }
        }
        Err(fault.unwrap_or_else(|| Error::NoRuntime { looked: candidates.to_vec(), minor: ort::MINOR_VERSION }))
    }

    fn load_one(library: &Path) -> Result<Self, Error> {
        let refuse = |what: String| Error::BadRuntime { path: library.to_owned(), what };
        let minor = match ort::util::probe(library) {
            None => return Err(refuse("it is not a version 1 ONNX Runtime that this system can load".to_owned())),
            Some(minor) if minor < ort::MINOR_VERSION => {
                let oldest = ort::MINOR_VERSION;
                return Err(refuse(format!(
                    "it is version 1.{minor}, 1.{oldest} or newer is needed; run `make setup`"
                )));
            }
            Some(minor) => minor,
        };
        preload_cuda(library);
        let builder = ort::init_from(library).map_err(|e| refuse(e.to_string()))?;
        let environment =
            builder.with_name("tapline").with_telemetry(false).build().map_err(|e| refuse(e.to_string()))?;
        environment.set_log_level(LogLevel::Fatal);
        Ok(Self { library: library.to_owned(), version: version(library, minor), environment })
    }

    /// Settles which device runs.
    ///
    /// # Errors
    /// [`Error::Device`] where one was asked for by name and cannot be used.
    pub fn choose(&self, request: DeviceRequest) -> Result<Chosen, Error> {
        match request {
            DeviceRequest::Only(Device::Cpu) => Ok(Chosen { device: Device::Cpu, why: "as asked".to_owned() }),
            DeviceRequest::Only(device @ Device::Cuda(_)) => match self.try_cuda(device) {
                Ok(()) => Ok(Chosen { device, why: "as asked".to_owned() }),
                Err(what) => Err(Error::Device { device: device.to_string(), what }),
            },
            DeviceRequest::Auto => {
                let device = Device::Cuda(0);
                Ok(match self.try_cuda(device) {
                    Ok(()) => Chosen { device, why: "a CUDA GPU is usable".to_owned() },
                    Err(what) => Chosen { device: Device::Cpu, why: format!("no usable GPU: {what}") },
                })
            }
        }
    }

    /// A session builder for a device: `threads` per session on the processor, all graph optimisations on.
    pub(crate) fn builder(&self, device: Device, threads: usize) -> ort::Result<SessionBuilder> {
        let mut builder = Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            .with_log_level(LogLevel::Fatal)?;
        if overflows() {
            builder = builder.with_config_entry("session.x64quantprecision", "1")?;
        }
        if let Device::Cuda(index) = device {
            builder = builder.with_execution_providers([cuda(index).build().error_on_failure()])?;
        }
        Ok(builder)
    }

    /// A session builder that changes nothing in the graph, so that every tensor can be looked at.
    pub(crate) fn plain_builder(&self) -> ort::Result<SessionBuilder> {
        Ok(Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::Disable)?
            .with_log_level(LogLevel::Fatal)?)
    }

    /// Whether a session on the GPU can be made; the error says what is missing.
    fn try_cuda(&self, device: Device) -> Result<(), String> {
        let Device::Cuda(index) = device else { return Ok(()) };
        match CUDA::is_available() {
            Ok(true) => {}
            Ok(false) => {
                return Err(
                    "this ONNX Runtime is built without CUDA; `make setup-cuda` installs one that has it".to_owned()
                );
            }
            Err(error) => return Err(cuda_fault(&error.to_string())),
        }
        let mut builder = Session::builder(&self.environment).map_err(|e| cuda_fault(&e.to_string()))?;
        cuda(index).register(&mut builder).map_err(|e| cuda_fault(&e.to_string()))
    }
}

/// Whether this processor's products of bytes overflow unless ONNX Runtime takes a slower way: an x86 without the instructions
/// made for them.
fn overflows() -> bool {
    #[cfg(target_arch = "x86_64")]
    return !(std::is_x86_feature_detected!("avx512vnni") || std::is_x86_feature_detected!("avxvnni"));
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Results must not depend on what ran before: no search for the fastest algorithm, no reduced-precision arithmetic.
fn cuda(index: u32) -> CUDA {
    CUDA::default()
        .with_device_id(i32::try_from(index).unwrap_or(i32::MAX))
        .with_tf32(false)
        .with_conv_algorithm_search(ort::ep::cuda::ConvAlgorithmSearch::Heuristic)
}

/// The runtime's reason without the places in its own source: what the loader said last, if it was a library that did
/// not load, else what CUDA said.
fn cuda_fault(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    if let Some((_, loader)) = line.rsplit_once("with error: ") {
        return if loader.contains("libcuda.so") {
            format!("the NVIDIA driver is not installed ({loader})")
        } else {
            format!("a library that CUDA needs does not load ({loader}); `make setup-cuda` installs them")
        };
    }
    if let Some((_, range)) = line.split_once("Invalid device ID: ") {
        let found = range.split_once("and ").and_then(|(_, end)| end.split([' ', '.']).next());
        return match found {
            Some("1") => "there is one GPU: use cuda:0".to_owned(),
            Some(count) => format!("there are {count} GPUs, counted from cuda:0"),
            None => format!("invalid device {range}"),
        };
    }
    match line.split_once("CUDA failure ") {
        // The number, then CUDA's words, then places.
        Some((_, failure)) => {
            let words = failure.split_once(": ").map_or(failure, |(_, words)| words);
            words.split(" ;").next().unwrap_or(words).trim().to_owned()
        }
        None => line.to_owned(),
    }
}

/// The version in the library's own name (`libonnxruntime.so.1.32.0`), else the one it reports, which has no patch level.
fn version(library: &Path, minor: u32) -> String {
    let real = library.canonicalize().unwrap_or_else(|_| library.to_owned());
    let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match name.split_once(".so.") {
        Some((_, version)) if version.starts_with("1.") => version.to_owned(),
        _ => format!("1.{minor}"),
    }
}

/// Loads the CUDA libraries that lie beside a Python package's ONNX Runtime (`site-packages/nvidia/**/lib`), so that
/// its CUDA provider finds them. Libraries need each other: passes repeat while one of them still loads something.
fn preload_cuda(library: &Path) {
    let Some(packages) = library.ancestors().nth(3) else { return };
    let mut waiting = shared_objects(&packages.join("nvidia"), 4);
    loop {
        let before = waiting.len();
        waiting.retain(|path| ort::util::preload_dylib(path.as_os_str()).is_err());
        if waiting.is_empty() || waiting.len() == before {
            return;
        }
    }
}

fn shared_objects(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() && depth > 0 {
            found.extend(shared_objects(&path, depth - 1));
        } else if path.file_name().is_some_and(|n| n.to_string_lossy().contains(".so")) {
            found.push(path);
        }
    }
    found
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Only(Device::Cpu)),
            "cuda" => Ok(Self::Only(Device::Cuda(0))),
            _ => match text.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(index)) => Ok(Self::Only(Device::Cuda(index))),
                _ => Err(format!("{text:?} is not a device: use auto, cpu, cuda or cuda:N")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for (text, request) in [
            ("auto", DeviceRequest::Auto),
            ("cpu", DeviceRequest::Only(Device::Cpu)),
            ("cuda", DeviceRequest::Only(Device::Cuda(0))),
            ("cuda:3", DeviceRequest::Only(Device::Cuda(3))),
        ] {
            assert_eq!(text.parse(), Ok(request));
        }
        for text in ["", "gpu", "cuda:", "cuda:x", "cuda:-1"] {
            assert!(text.parse::<DeviceRequest>().expect_err(text).contains("cuda:N"));
        }
    }

    #[test]
    fn what_keeps_a_gpu_from_use_is_said_in_a_few_words() {
        let loader = |library: &str| {
            format!("source.cc:1 FAIL : Failed to load library x.so with error: {library}: no such file")
        };
        assert!(cuda_fault(&loader("libcuda.so.1")).starts_with("the NVIDIA driver is not installed (libcuda.so.1"));
        assert!(cuda_fault(&loader("libcudnn.so.9")).contains("make setup-cuda"));
        let parse = "info.cc:63 FAIL : Parse Failed to parse provider option \"device_id\": ";
        let none =
            format!("{parse}CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; line=70");
        assert_eq!(cuda_fault(&none), "no CUDA-capable device is detected");
        let beyond = |count: u32| {
            format!(
                "{parse}info.cc:71 operator() Invalid device ID: 7, must be between 0 (inclusive) and {count} (exclusive)."
            )
        };
        assert_eq!(cuda_fault(&beyond(1)), "there is one GPU: use cuda:0");
        assert_eq!(cuda_fault(&beyond(4)), "there are 4 GPUs, counted from cuda:0");
        assert_eq!(cuda_fault("something else\nmore"), "something else");
    }
}
