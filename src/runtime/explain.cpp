// The plan and the profile in words: tables, fallbacks, Chrome trace.
#include <nlohmann/json.hpp>

#include "runtime/executable.h"

namespace fovea {

namespace {
constexpr std::pair<Precision, std::string_view> precisions[] = {{Precision::f32, "f32"}, {Precision::f64, "f64"}, {Precision::bf16, "bf16"}};
}

std::string_view name_of(Precision precision) { return std::ranges::find(precisions, precision, &std::pair<Precision, std::string_view>::first)->second; }

Precision precision_named(std::string_view name) {
    for (const auto& [precision, known] : precisions)
        if (name == known) return precision;
    fail<ArgumentError>("no precision '{}'; there are: f32, f64, bf16", name);
}

const std::vector<Executable::Port>& Executable::inputs() const& { return impl_->inputs; }
const std::vector<Executable::Port>& Executable::outputs() const& { return impl_->outputs; }
const std::vector<ParameterInfo>& Executable::parameters() const& { return impl_->parameters; }
const std::vector<PlanLine>& Executable::plan() const& { return impl_->plan; }
const std::vector<PlanChoice>& Executable::choices() const& { return impl_->choices; }
const std::vector<std::string>& Executable::fallbacks() const& { return impl_->fallbacks; }
const Graph& Executable::graph() const { return impl_->graph; }
std::size_t Executable::arena_bytes() const { return impl_->session_bytes(); }
std::size_t Executable::Impl::session_bytes() const {
    const int most = context.is_serial ? 1 : std::min(threads(), std::max(1, context.parts()));
    return arena_bytes + static_cast<std::size_t>(most) * local_bytes;
}
const Recomputed& Executable::recomputed() const { return impl_->recomputed; }

std::string Executable::explain_plan() const {
    std::size_t path = 4, op = 2, kernel = 6, layout = 6;
    int reorders = 0, concats = 0, placed = 0;
    std::int64_t reordered_bytes = 0, copied_bytes = 0;
    for (const PlanLine& line : plan()) {
        path = std::max(path, line.path.size()), op = std::max(op, line.op.size());
        kernel = std::max(kernel, line.kernel.size()), layout = std::max(layout, line.layout.size());
        if (line.op == "reorder") ++reorders, reordered_bytes += line.bytes;
        if (line.op == "concat") ++concats, placed += line.bytes == 0, copied_bytes += line.bytes;
    }
    std::string text = fmt::format("{:<{}}  {:<{}}  {:<{}}  {:<{}}  {:>10}  {}\n", "node", path, "op", op, "kernel", kernel, "layout", layout, "bytes", "fused");
    for (const PlanLine& line : plan())
        text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {:<{}}  {:>10}  {}\n", line.path, path, line.op, op, line.kernel, kernel, line.layout, layout,
                            human_bytes(static_cast<double>(line.bytes)), line.fused);
    const auto locals = std::ranges::count_if(impl_->buffers, [&](const Buffer& buffer) { return buffer.place == Buffer::Place::local && &buffer == &impl_->buffers[static_cast<std::size_t>(buffer.root)]; });
    text += fmt::format("{} kernels in {} stages; arena {}; {} reorders ({})\n", plan().size(), impl_->stages.size(), human_bytes(static_cast<double>(impl_->arena_bytes)), reorders,
                        human_bytes(static_cast<double>(reordered_bytes)));
    if (locals > 0) text += fmt::format("{} buffers live inside a stage, in {} of each thread\n", locals, human_bytes(static_cast<double>(impl_->local_bytes)));
    if (concats > 0) text += fmt::format("{} of {} concats in place", placed, concats) + (placed < concats ? fmt::format(", the others copy {}", human_bytes(static_cast<double>(copied_bytes / 2))) : "") + "\n";
    if (!choices().empty()) text += "\nnodes that can run in several ways, the one taken first: ms measured here, or ~ms that the cost model expects of two nominal cores\n";
    for (const PlanChoice& choice : choices()) {
        std::string ways;
        for (const PlanChoice::Way& way : choice.ways)
            ways += (ways.empty() ? "" : ", ") + way.name + (way.measured_ms > 0 ? fmt::format(" {:.3f}", way.measured_ms) : fmt::format(" ~{:.3f}", way.predicted_ms));
        text += fmt::format("{:<{}}  {:<{}}  {}\n", choice.path, path, choice.op, op, ways);
    }
    for (const std::string& fallback : fallbacks()) text += "fallback: " + fallback + "\n";
    return text;
}

std::string chrome_trace(const std::vector<ProfileLine>& profile) {
    nlohmann::json events = nlohmann::json::array();
    for (const ProfileLine& line : profile)
        events.push_back({{"name", line.plan.path}, {"cat", line.plan.op}, {"ph", "X"}, {"ts", line.start_ms * 1000}, {"dur", line.ms * 1000}, {"pid", 1}, {"tid", line.thread},
                          {"args", {{"kernel", line.plan.kernel}, {"layout", line.plan.layout}, {"bytes", line.plan.bytes}}}});
    return nlohmann::json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump();
}

}  // namespace fovea
